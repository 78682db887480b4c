#!/usr/bin/env bash
# reports/on-device: RT and RT Lite in every form that can be shipped, and the authors' two .tflite files beside them,
# on this machine and on emulated phones, the same photographs everywhere. Ours are those of compress.sh (fine-tuned on
# LSPET, which the authors' are not) or, where that has not run, exports of the authors' weights. Resumes.
#
#   LIMIT=10 benchmarks/on_device.sh [CHECKPOINTS] [LSPET]
set -euo pipefail
cd "$(dirname "$0")/.."
checkpoints=${1:-../shared/reference/efficientpose}
data=(--data "lspet:${2:-../shared/data/lspet}" --crop person)
read -ra networks <<<"${NETWORKS:-rt rt-lite}"
read -ra cpus <<<"${CPUS:-cortex-a53 cortex-a72 cortex-a76}"
limit=${LIMIT:-10}
runs=runs/on-device
scored=$runs/scored-$limit
declare -A authors=([rt]=EfficientPoseRT [rt-lite]=EfficientPoseRT_LITE)

exported() { # KEY: the authors' weights in every recipe, in $runs/KEY
  local key=$1 weights=$runs/$1.safetensors
  [ -f "$weights" ] || edgepose import-weights "$checkpoints/${authors[$key]}.h5" --model "$key" --out "$weights"
  [ -f "$runs/$key/$key-int8-ptq-maps.tflite" ] || {
    edgepose export "$weights" --output maps --recipe fp32 --recipe fp16 --recipe weights-int8 --recipe dynamic --recipe int8 \
      --calibrate "${data[1]}" "${data[@]:2}" --count 48 --out "$runs/$key" --overwrite
    edgepose quantize "$weights" "${data[@]}" --count 48 --out "$runs/$key"
  }
}
files=()
mkdir -p "$runs"
for key in "${networks[@]}"; do
  ours=runs/compress-lspet/$key/scored-files
  [ -f "$ours/$key-fp32-maps.tflite" ] || { exported "$key" && ours=$runs/$key; }
  [ -f "$runs/${authors[$key]}.json" ] || edgepose import-tflite "$checkpoints/${authors[$key]}.tflite" --model "$key" --out "$runs"
  files+=("$runs/${authors[$key]}.tflite" "$ours"/*.tflite)
done
targets=(desktop)
for cpu in "${cpus[@]}"; do
  edgepose device create --cpu "$cpu"
  targets+=("emulated:$cpu")
done
for target in "${targets[@]}"; do
  edgepose evaluate "${files[@]}" "${data[@]}" --limit "$limit" --target "$target" --out "$scored"
done
edgepose compare "$scored" --baseline "${networks[0]}-fp32-maps" --out reports/on-device \
  --title "RT and RT Lite on emulated phones: accuracy against instructions"
