#!/usr/bin/env bash
# reports/smaller-networks: RT Lite with fewer pixels, passes and channels. Each starts from the weights that come with
# edgepose and learns from what real_infants.sh drew and reads; then int8, SyRIP's test part, made-up infants, and
# instructions on a Cortex-A76. SyRIP's validation photographs choose nothing here: the last weights are taken. Resumes.
# A network is NAME@RESOLUTION:EPOCHS, of 100 steps each; 3 epochs where none are given.
#
#   NETWORKS="rt-lite@160 rt-lite-small@120:20" benchmarks/smaller_networks.sh [SHARED]
set -euo pipefail
cd "$(dirname "$0")/.."
shared=${1:-../shared}
runs=${RUNS:-runs/smaller-networks} drawn=${DRAWN:-runs/real-infants}
models=$runs/models peers=$runs/peers
mkdir -p "$models"
framed=crop=person,margin=0.1-0.6,turn=upright
settings=(
  --keypoints in-motion-19 --partial --drop-shared
  --data "coco:$shared/data/syrip=3,$framed,crops=5"
  --data "lspet:$shared/data/lspet=1,crop=person,margin=0.25,turn=upright"
  --data "in-motion:$drawn/infants=1" --data "in-motion:$drawn/infants-home=1.3,$framed"
  --data "in-motion:$drawn/infants-postures=2,$framed"
  --augmentation home --sigma efficientpose-final --schedule cosine --batch 16 --steps-per-epoch 100
  --learning-rate 0.001 --ema 0.98
)

. benchmarks/runs.sh
read -ra networks <<<"${NETWORKS:-rt-lite@192 rt-lite@160 rt-lite-two-passes@160 rt-lite-half-head@160 \
rt-lite-narrow@160 rt-lite-two-passes@112:10 rt-lite-small@120:20}"
shipped=$models/rt-lite@224.safetensors
[ -f "$shipped" ] || cp edgepose/weights/rt-lite.safetensors "$shipped"
counted=()
for network in rt-lite@224 "${networks[@]}"; do
  name=${network%:*} epochs=${network#"$name"} epochs=${epochs#:}
  [ "$name" = rt-lite@224 ] ||
    run "$name" train --model "${name%@*}" --resolution "${name#*@}" --init default:rt-lite --epochs "${epochs:-3}"
  small=$models/$name-int8-ptq-maps.tflite
  [ -f "$small" ] || edgepose quantize "$models/$name.safetensors" --count 200 --out "$models" \
    --data "coco:$shared/data/syrip,crop=person,margin=0.35,turn=upright" --data "in-motion:$drawn/infants"
  counted+=("$name=int8:$small")
done
movenet=$peers/movenet_singlepose_lightning_int8_4.tflite
[ -f "$movenet" ] || edgepose import-tflite "$shared/reference/peers/${movenet##*/}" --output movenet --out "$peers"
files=("$models"/*-int8-ptq-maps.tflite)
syrip=(--data "coco:$shared/data/syrip" --score limbs --no-speed)
edgepose evaluate "${files[@]}" "$movenet" "${syrip[@]}" --crop person --margin 0.35 --turn upright --out "$runs/upright"
edgepose evaluate "${files[@]}" "$movenet" "${syrip[@]}" --crop found --turn found --out "$runs/found"
edgepose evaluate "${files[@]}" --data "$drawn/infants" --no-speed --out "$runs/made-up"
for view in upright found; do
  edgepose compare "$runs/$view" --baseline movenet_singlepose_lightning_int8_4 --margin 0.02 --by posture \
    --overlays none --out "$runs/compared/$view"
done
edgepose compare "$runs/made-up" --baseline rt-lite@224-int8-ptq-maps --overlays none --out "$runs/compared/made-up"
edgepose device create --cpu cortex-a76
python benchmarks/peers_on_device.py "${counted[@]}" "movenet_singlepose_lightning_int8_4=int8:$movenet" \
  --cpus cortex-a76 --out "$runs/cost.json"
python benchmarks/smaller_networks.py "$runs" --out reports/smaller-networks
