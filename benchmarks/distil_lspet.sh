#!/usr/bin/env bash
# reports/distil-lspet: RT from the authors' MPII weights on real photographs: not fine-tuned, on labels, on
# labels and a teacher, and on a black-box teacher's word alone. About an hour and a half on two cores; resumes.
#
#   benchmarks/distil_lspet.sh [CHECKPOINTS] [LSPET]
set -euo pipefail
cd "$(dirname "$0")/.."
checkpoints=${1:-../shared/reference/efficientpose}
lspet=lspet:${2:-../shared/data/lspet}
seeds=${SEEDS:-0 1}
epochs=${EPOCHS:-3} # of 95 steps at batch 16
runs=runs/distil-lspet
models=$runs/models
mkdir -p "$models"
# The persons cropped; MPII's 16 keypoints, of which LSPET labels 14.
frames=(--data "$lspet" --keypoints mpii-16 --partial --crop person)
steps=(--sigma efficientpose-final --schedule cosine --learning-rate 0.0003 --batch 16)

weights() { # FILE MODEL OUT
  [ -f "$models/$3.safetensors" ] || edgepose import-weights "$checkpoints/$1.h5" --model "$2" --out "$models/$3.safetensors"
}
run() { # NAME COMMAND...: a run's checkpoint under its name; goes on where it stopped
  local name=$1 kept
  shift
  [ -f "$models/$name.safetensors" ] && return
  local resume=()
  [ ! -f "$runs/$name/run.json" ] || resume=(--resume)
  kept=$(edgepose "$@" "${frames[@]}" "${steps[@]}" --out "$runs/$name" "${resume[@]}" | tail -1)
  cp "$kept" "$models/$name.safetensors"
}
student() { # NAME SEED OPTIONS...
  run "$1-seed$2" distill --student rt --init "$models/rt-none.safetensors" --epochs "$epochs" --seed "$2" "${@:3}"
}
weights EfficientPoseRT rt rt-none
weights EfficientPoseI i i-none
[ -f "$models/EfficientPoseII.json" ] ||
  edgepose import-tflite "$checkpoints/EfficientPoseII.tflite" --model ii --out "$models"
run i-labels train --model i --init "$models/i-none.safetensors" --epochs 2
for seed in $seeds; do
  student labels "$seed" --teacher i --loss ground-truth
  student labels-and-teacher "$seed" --teacher i --teacher-weights "$models/i-labels.safetensors"
  student black-box "$seed" --teacher ii --teacher-weights "$models/EfficientPoseII.tflite" \
    --loss teacher-only --validation-split none
done
edgepose evaluate "$models"/*.safetensors "$models"/*.tflite --data "$lspet" --crop person --out "$runs/scored"
edgepose compare "$runs/scored" --baseline rt-none --out reports/distil-lspet \
  --title "RT on 400 photographs: no fine-tuning, labels, labels and a teacher, a teacher alone"
