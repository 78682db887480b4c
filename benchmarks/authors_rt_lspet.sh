#!/usr/bin/env bash
# reports/authors-rt-lspet: the authors' RT and RT Lite in every recipe, on 400 real photographs.
# Takes about an hour on two cores, most of it int16x8, which has no fast kernels. Resumes when run again.
#
#   benchmarks/authors_rt_lspet.sh [CHECKPOINTS] [LSPET]
set -euo pipefail
cd "$(dirname "$0")/.."
checkpoints=${1:-../shared/reference/efficientpose}
lspet=lspet:${2:-../shared/data/lspet}
models=runs/authors/models
tflite=runs/authors/tflite
mkdir -p "$models" "$tflite"

import() { # FILE MODEL: the authors' weights as a checkpoint of ours, and their .tflite with a sidecar
  [ -f "$models/$2.safetensors" ] || edgepose import-weights "$checkpoints/$1.h5" --model "$2" --out "$models/$2.safetensors"
  [ -f "$tflite/$1.json" ] || edgepose import-tflite "$checkpoints/$1.tflite" --model "$2" --out "$tflite"
}
export_as() { # MODEL OUTPUT RECIPE...
  local model=$1 output=$2 recipe
  for recipe in "${@:3}"; do
    [ -f "$tflite/$model-$recipe-$output.json" ] || edgepose export "$models/$model.safetensors" --recipe "$recipe" \
      --output "$output" --calibrate "$lspet" --crop person --count 200 --out "$tflite" --overwrite
  done
}
import EfficientPoseRT rt
import EfficientPoseRT_LITE rt-lite
for model in rt rt-lite; do
  export_as "$model" maps fp32 fp16 dynamic int8 int16x8
  export_as "$model" upscaled fp32 fp16 dynamic int8
  export_as "$model" keypoints fp32 fp16 dynamic
done
for crop in person none; do
  for file in "$tflite"/EfficientPose*.tflite "$tflite"/rt*.tflite; do
    edgepose evaluate "$file" --data "$lspet" --crop "$crop" --out "runs/authors/lspet-$crop"
  done
done
# Again, with nothing else running and all in one go, so that the times can be compared.
for crop in person none; do
  edgepose evaluate "$tflite"/EfficientPose*.tflite "$tflite"/rt*.tflite --data "$lspet" --crop "$crop" \
    --out "runs/authors/lspet-$crop" --retime
done
report() { # CROP FOLDER TITLE
  edgepose compare "runs/authors/lspet-$1" --baseline rt-fp32-maps --title "$3" --out "reports/authors-rt-lspet/$2"
}
report person cropped "EfficientPose RT and RT Lite on 400 photographs, cropped to the person"
report none whole "EfficientPose RT and RT Lite on 400 photographs, whole images"
