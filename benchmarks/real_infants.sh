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
mixture() { # SYRIP LSPET MORE INFANTS HOME POSTURES [BEHIND]: `settings`, by the weights; and what follows each made-up set
  settings=(
    --keypoints in-motion-19 --partial --drop-shared
    --data "coco:$shared/data/syrip=$1,$person,crops=5,turn=upright"
    --data "lspet:$shared/data/lspet=$2,$adult" --data "lspet:$shared/data/lspet-more=$3,$adult"
    --data "in-motion:$infants=$4${7:-}" --data "in-motion:$home=$5,$person,turn=upright${7:-}"
    --data "in-motion:$postures=$6,$person,turn=upright${7:-}"
    --sigma efficientpose-final --schedule cosine --batch 16 --steps-per-epoch 200 --ema 0.99
  )
}

. benchmarks/runs.sh
start() { echo "${START:+$START/$1.safetensors}" | grep . || echo default; }

draw "$infants" --videos 100 --frames 5 --seed 0 --size 640x480
for variety in home:10 home-postures:11; do
  folder=$runs/infants-${variety%:*} && folder=${folder/home-/}
  draw "$folder" --variety "${variety%:*}" --videos 1000 --frames 2 --seed "${variety#*:}" --size 320x240
done

mixture 6 0.7 0.3 0.5 1 1.5
run i train --model i --init "$(start i)" --epochs "${I_EPOCHS:-2}" --learning-rate 0.0007 --augmentation home
# The settings stand, so all but the test part teaches. I, which has seen less of it, is heard on photographs.
mixture 5 0.8 0.7 0.5 1.2 1.8 ,teacher=none
last=(
  --teacher i --teacher-weights "$models/i.safetensors" --teacher-flip --teacher-confidence 0.1 --teacher-share 0.4
  --teacher-cache "$runs/teacher" --augmentation home-patches --learning-rate 0.001
  --split train+val --validation-split none
)
run rt distill --student rt --init "$(start rt)" --epochs "${RT_EPOCHS:-9}" "${last[@]}"
run rt-lite distill --student rt-lite --init "$(start rt-lite)" --epochs "${RT_LITE_EPOCHS:-10}" "${last[@]}"
# 71 validation photographs cannot tell one run's late checkpoints apart: the last is taken. Of RT and RT Lite, which have
# learnt those too, the mean of the weights before and after: the best of the three on made-up infants drawn for that choice.
cp "$runs/i/last.safetensors" "$models/i.safetensors"
choice=$runs/choice
mkdir -p "$choice"
for network in rt rt-lite; do
  [ ! -f "$choice/$network-mean.safetensors" ] || continue
  cp "${START:-edgepose/weights}/$network.safetensors" "$choice/$network-before.safetensors"
  cp "$runs/$network/last.safetensors" "$choice/$network-after.safetensors"
  python benchmarks/average_weights.py "$choice/$network"-{before,after}.safetensors --out "$choice/$network-mean.safetensors"
  cp "$choice/$network-mean.safetensors" "$models/$network.safetensors"
done
draw "$runs/fresh-home" --variety home --videos 100 --frames 1 --seed 77 --size 320x240
draw "$runs/fresh-postures" --variety home-postures --videos 150 --frames 1 --seed 78 --size 320x240
for fresh in home postures; do
  edgepose evaluate "$choice"/*.safetensors --data "in-motion:$runs/fresh-$fresh" --split all \
    --crop person --margin 0.35 --turn upright --no-speed --out "$choice/$fresh"
done
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
# By themselves: the largest network, and what ships for the phone.
alone=("$files"/{i-fp16,rt-int8-qat,rt-lite-int8-qat}-maps.tflite)
edgepose evaluate "${alone[@]}" "$peers"/*.tflite "${syrip[@]}" --crop found --turn found --out "$runs/found"
# The flip test, at twice the cost.
edgepose evaluate "${alone[@]}" "${syrip[@]}" --flip --crop person --margin 0.35 --turn upright --out "$runs/upright"
edgepose evaluate "${alone[@]}" "${syrip[@]}" --flip --crop found --turn found --out "$runs/found"
edgepose evaluate "${ours[@]}" --data "$infants" --no-speed --out "$runs/made-up"
# By posture, skin tone and clothing, which SyRIP does not tell.
grouped=("${alone[@]}" --crop person --margin 0.35 --turn upright --no-speed)
edgepose evaluate "${grouped[@]}" --data "in-motion:$home" --out "$runs/home"
edgepose evaluate "${grouped[@]}" --data "in-motion:$postures" --out "$runs/home-postures"
for view in upright found; do
  edgepose compare "$runs/$view" --baseline movenet_singlepose_lightning_int8_4 --margin 0.02 --by posture --common \
    --overlays none --out "reports/real-infants/$view"
done
edgepose compare "$runs/made-up" --baseline i-fp16-maps --overlays none --out reports/default-weights
python benchmarks/headline.py "$runs"
