#!/usr/bin/env bash
# The default weights, and reports/real-infants: I, RT and RT Lite on photographs of real infants (SyRIP), of adults
# in unusual poses (LSPET) and on made-up infants. Then int8, and every network and its peers on SyRIP's test part.
# SyRIP and LSPET are for non-commercial research, and so are these weights.
#
#   benchmarks/real_infants.sh [SHARED]      SHARED holds data/syrip, data/lspet, data/lspet-more, reference/peers
#
# START names a folder of checkpoints to start from (rt.safetensors, ...); without, the project's own, which have seen
# these photographs already. The committed weights were trained by the run-cards real-i, real-rt and real-rt-lite
# (`edgepose recipes list`), each from the default weights that came before; two cores, 30 to 70 minutes each.
set -euo pipefail
cd "$(dirname "$0")/.."
shared=${1:-../shared}
runs=${RUNS:-runs/real-infants}
models=$runs/models
mkdir -p "$models"
infants=$runs/infants home=$runs/infants-home postures=$runs/infants-postures
person=crop=person,margin=0.1-0.6 adult=crop=person,margin=0.25,turn=upright
settings=(
  # Small networks err on photographs that they learn from: more of those.
  --keypoints in-motion-19 --partial --drop-shared
  --data "coco:$shared/data/syrip=6,$person,crops=5,turn=upright"
  --data "lspet:$shared/data/lspet=0.7,$adult" --data "lspet:$shared/data/lspet-more=0.3,$adult"
  --data "in-motion:$infants=0.5" --data "in-motion:$home=1,$person,turn=upright"
  --data "in-motion:$postures=1.5,$person,turn=upright"
  --augmentation home --sigma efficientpose-final --schedule cosine --batch 16 --steps-per-epoch 200 --ema 0.99
)

. benchmarks/runs.sh
start() { echo "${START:+$START/$1.safetensors}" | grep . || echo default; }

draw "$infants" --videos 100 --frames 5 --seed 0 --size 640x480
for variety in home:8 home-postures:9; do
  folder=$runs/infants-${variety%:*} && folder=${folder/home-/}
  draw "$folder" --variety "${variety%:*}" --videos 1000 --frames 2 --seed "${variety#*:}" --size 320x240
done

run i train --model i --init "$(start i)" --epochs "${I_EPOCHS:-2}" --learning-rate 0.0007
# The settings stand, so all but the test part teaches.
last=(--split train+val --validation-split none)
run rt train --model rt --init "$(start rt)" --epochs "${RT_EPOCHS:-9}" --learning-rate 0.001 "${last[@]}"
run rt-lite train --model rt-lite --init "$(start rt-lite)" --epochs "${RT_LITE_EPOCHS:-4}" --learning-rate 0.0007 "${last[@]}"
# 71 validation photographs cannot tell one run's late checkpoints apart: the last is taken.
for network in i rt rt-lite; do cp "$runs/$network/last.safetensors" "$models/$network.safetensors"; done
files=$runs/files
for network in i rt rt-lite; do
  [ -f "$files/$network-fp16-maps.tflite" ] ||
    edgepose export "$models/$network.safetensors" --recipe fp16 --output maps --out "$files"
done
learnt=(--data "coco:$shared/data/syrip,crop=person,margin=0.35,turn=upright" --data "in-motion:$infants")
for student in rt rt-lite; do int8 "$student" "$models/$student.safetensors" --split train+val; done

peers=$runs/peers
[ -f "$peers/movenet_singlepose_lightning_int8_4.tflite" ] || edgepose import-tflite \
  "$shared/reference/peers/movenet_singlepose_lightning_int8_4.tflite" --output movenet --out "$peers"
for size in lite full heavy; do
  [ -f "$peers/pose_landmark_$size-detected.tflite" ] || edgepose import-tflite \
    "$shared/reference/peers/pose_landmark_$size.tflite" --output blazepose \
    --detector "$shared/reference/peers/pose_detection.tflite" --out "$peers"
done
ours=("$files"/*.tflite)
syrip=(--data "coco:$shared/data/syrip" --score common --no-speed)
edgepose evaluate "${ours[@]}" "$peers"/movenet*.tflite "${syrip[@]}" --crop person --margin 0.35 --turn upright --out "$runs/upright"
edgepose evaluate "${ours[@]}" "$peers"/*.tflite "${syrip[@]}" --crop found --turn found --out "$runs/found"
# The flip test, at twice the cost: the largest network, and what ships for the phone.
flipped=("$files"/{i-fp16,rt-int8-qat,rt-lite-int8-ptq}-maps.tflite "${syrip[@]}" --flip)
edgepose evaluate "${flipped[@]}" --crop person --margin 0.35 --turn upright --out "$runs/upright"
edgepose evaluate "${flipped[@]}" --crop found --turn found --out "$runs/found"
edgepose evaluate "${ours[@]}" --data "$infants" --no-speed --out "$runs/made-up"
# By posture, skin tone and clothing, which SyRIP does not tell.
grouped=("$files"/{i-fp16,rt-int8-ptq,rt-lite-int8-ptq}-maps.tflite --crop person --margin 0.35 --turn upright --no-speed)
edgepose evaluate "${grouped[@]}" --data "in-motion:$home" --out "$runs/home"
edgepose evaluate "${grouped[@]}" --data "in-motion:$postures" --out "$runs/home-postures"
for view in upright found; do
  edgepose compare "$runs/$view" --baseline movenet_singlepose_lightning_int8_4 --margin 0.02 --by posture --common \
    --overlays none --out "reports/real-infants/$view"
done
edgepose compare "$runs/made-up" --baseline i-fp16-maps --overlays none --out reports/default-weights
python benchmarks/headline.py "$runs"
