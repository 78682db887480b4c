#!/usr/bin/env bash
# reports/distil-lspet: RT from the authors' MPII weights on real photographs: not fine-tuned, on labels, on
# labels and a teacher, and on a black-box teacher's word alone. An hour and a half on two cores; resumes.
#
#   SEEDS="0 1" benchmarks/distil_lspet.sh [CHECKPOINTS] [LSPET]
set -euo pipefail
cd "$(dirname "$0")/.."
checkpoints=${1:-../shared/reference/efficientpose}
lspet=lspet:${2:-../shared/data/lspet}
runs=runs/distil-lspet
models=$runs/models
mkdir -p "$models"
# The persons cropped; MPII's 16 keypoints, of which LSPET labels 14. An epoch is 95 steps.
settings=(--data "$lspet" --keypoints mpii-16 --partial --crop person
  --sigma efficientpose-final --schedule cosine --batch 16)

. benchmarks/runs.sh
student() { # NAME RATE SEED OPTIONS...
  run "$1-seed$3" distill --student rt --init "$models/rt-none.safetensors" --epochs 3 --learning-rate "$2" \
    --seed "$3" --teacher-cache "$runs/teacher-cache" "${@:4}"
}
weights EfficientPoseRT rt "$models/rt-none.safetensors"
weights EfficientPoseI i "$models/i-none.safetensors"
[ -f "$models/EfficientPoseII.json" ] ||
  edgepose import-tflite "$checkpoints/EfficientPoseII.tflite" --model ii --out "$models"
run i-labels train --model i --init "$models/i-none.safetensors" --epochs 2 --learning-rate 0.0003
ii=(--teacher ii --teacher-weights "$models/EfficientPoseII.tflite" --loss teacher-only --validation-split none)
for seed in ${SEEDS:-0}; do
  student labels 3e-4 "$seed" --teacher i --loss ground-truth
  student labels-and-teacher 3e-4 "$seed" --teacher i --teacher-weights "$models/i-labels.safetensors"
  student black-box 3e-4 "$seed" "${ii[@]}"
  student labels-fast 1e-3 "$seed" --teacher i --loss ground-truth
  student labels-and-teacher-fast 1e-3 "$seed" --teacher i --teacher-weights "$models/i-labels.safetensors"
done
edgepose evaluate "$models"/*.safetensors "$models"/*.tflite --data "$lspet" --crop person --no-speed --out "$runs/scored"
edgepose compare "$runs/scored" --baseline rt-none --out reports/distil-lspet \
  --title "RT on 400 photographs: no fine-tuning, labels, labels and a teacher, a teacher alone"
