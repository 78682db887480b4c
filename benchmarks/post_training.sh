#!/usr/bin/env bash
# reports/post-training-lspet: what each part of `edgepose quantize` is worth, on the authors' RT as it
# was released, which plain int8 harms most: how ranges are set, equalization, bias correction. A quarter of
# an hour on two cores; resumes.
#
#   benchmarks/post_training.sh [CHECKPOINTS] [LSPET]
set -euo pipefail
cd "$(dirname "$0")/.."
checkpoints=${1:-../shared/reference/efficientpose}
data=(--data "lspet:${2:-../shared/data/lspet}" --crop person)
runs=runs/post-training-lspet
float=$runs/rt.safetensors
files=$runs/files

. benchmarks/runs.sh

quantized() { # NAME OPTIONS...: the file that `quantize` makes so, under a name of its own
  local name=$1 kind
  shift
  [ ! -f "$files/rt-$name-maps.tflite" ] || return 0
  edgepose quantize "$float" "${data[@]}" --count 48 --out "$runs/$name" --overwrite "$@"
  for kind in json tflite; do # the .tflite last: it says that both are there
    cp "$runs/$name/rt-int8-ptq-maps.$kind" "$files/rt-$name-maps.$kind"
  done
}
mkdir -p "$files"
weights EfficientPoseRT rt "$float"
[ -f "$files/rt-int8-maps.tflite" ] || edgepose export "$float" --output maps --recipe fp32 --recipe int8 \
  --calibrate "${data[1]}" "${data[@]:2}" --count 48 --out "$files" --overwrite
for ranges in minmax percentile mse; do
  quantized "$ranges" --ranges "$ranges" --no-equalize
  quantized "$ranges-equalized" --ranges "$ranges"
done
quantized percentile-equalized-corrected --ranges percentile --bias-correction
quantized mse-equalized-corrected --ranges mse --bias-correction
edgepose evaluate "$files"/*.tflite "${data[@]}" --no-speed --out "$runs/scored"
edgepose compare "$runs/scored" --baseline rt-fp32-maps --out reports/post-training-lspet \
  --title "RT in full int8 without training: what each part is worth (LSPET)"
