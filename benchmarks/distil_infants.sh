#!/usr/bin/env bash
# reports/distil-infants: RT and RT Lite on the built-in infants, on labels alone and beside a teacher.
# The authors' MPII weights are where RT, RT Lite and I start; two hours on two cores; resumes. B4 starts with
# the backbone of EfficientPose II, up to block 3; all else in it starts from nothing, at a resolution and for a
# time that two cores can bear. On a GPU: B4_RESOLUTION=608 B4_EPOCHS=100.
#
#   benchmarks/distil_infants.sh [CHECKPOINTS]
set -euo pipefail
cd "$(dirname "$0")/.."
checkpoints=${1:-../shared/reference/efficientpose}
epochs=${EPOCHS:-2} # of 90 steps at batch 16
runs=runs/distil-infants
models=$runs/models
mkdir -p "$models"
infants=$runs/infants
settings=(--data "$infants" --schedule cosine --learning-rate 0.001)

. benchmarks/runs.sh
from() { echo --init "$runs/$1-mpii.safetensors" --sigma efficientpose-final --batch 16; }

weights EfficientPoseRT rt "$runs/rt-mpii.safetensors"
weights EfficientPoseRT_LITE rt-lite "$runs/rt-lite-mpii.safetensors"
weights EfficientPoseI i "$runs/i-mpii.safetensors"
draw "$infants" --videos 100 --frames 20 --seed 0 --size 640x480

run i train --model i $(from i) --epochs "$epochs"
for student in rt rt-lite; do
  run "$student-from-i" distill --teacher i --teacher-weights "$models/i.safetensors" --student "$student" \
    $(from "$student") --epochs "$epochs"
done
for student in rt rt-lite; do
  run "$student-plain" train --model "$student" $(from "$student") --epochs "$epochs"
done
[ -f "$runs/ii-mpii.safetensors" ] || edgepose import-weights "$checkpoints/EfficientPoseII.tflite" --model ii \
  --data "$infants" --out "$runs/ii-mpii.safetensors"
run b4 train --model b4 --resolution "${B4_RESOLUTION:-128}" --init "$runs/ii-mpii.safetensors" \
  --sigma efficientpose-wide --batch 8 --epochs "${B4_EPOCHS:-10}"
for student in rt rt-lite; do
  run "$student-from-b4" distill --teacher b4 --teacher-weights "$models/b4.safetensors" --student "$student" \
    $(from "$student") --epochs "$epochs"
done
edgepose evaluate "$models"/*.safetensors --data "$infants" --no-speed --out "$runs/scored"
edgepose compare "$runs/scored" --baseline rt-plain --out reports/distil-infants \
  --title "RT and RT Lite on made-up infants: labels alone, and beside a teacher"
