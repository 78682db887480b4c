#!/usr/bin/env bash
# reports/distil-lspet: RT from the authors' MPII weights on real photographs: not fine-tuned, on labels, on
# labels and a teacher, and on a black-box teacher's outputs alone; RT Lite on labels. Two hours on two cores; resumes.
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
student() { # NAME STEPS RATE OPTIONS...
  local name=$1 steps=$2 rate=$3
  shift 3
  for seed in ${SEEDS:-0}; do
    run "$name-$steps-seed$seed" distill --student rt --init "$models/rt-none.safetensors" \
      --epochs "$((steps / 95))" --learning-rate "$rate" --seed "$seed" --teacher-cache "$runs/teacher-cache" "$@"
  done
}
weights EfficientPoseRT rt "$models/rt-none.safetensors"
weights EfficientPoseI i "$models/i-none.safetensors"
weights EfficientPoseRT_LITE rt-lite "$models/rt-lite-none.safetensors"
[ -f "$models/EfficientPoseII.json" ] ||
  edgepose import-tflite "$checkpoints/EfficientPoseII.tflite" --model ii --out "$models"
run i-labels-380 train --model i --init "$models/i-none.safetensors" --epochs 4 --learning-rate 1e-3
labels=(--teacher i --loss ground-truth)
i=(--teacher i --teacher-weights "$models/i-labels-380.safetensors")
ii=(--teacher ii --teacher-weights "$models/EfficientPoseII.tflite" --loss teacher-only --validation-split none)
student labels 570 1e-3 "${labels[@]}"
student labels-and-i 570 1e-3 "${i[@]}"
student labels 285 1e-3 "${labels[@]}"
student labels-and-i-resized 285 1e-3 "${i[@]}" --teacher-targets resized --teacher-share 0.8
student labels-slow 285 3e-4 "${labels[@]}"
student black-box-ii-slow 285 3e-4 "${ii[@]}"
run rt-lite-labels-570 train --model rt-lite --init "$models/rt-lite-none.safetensors" --epochs 6 --learning-rate 1e-3
edgepose evaluate "$models"/*.safetensors "$models"/*.tflite --data "$lspet" --crop person --no-speed --out "$runs/scored"
edgepose compare "$runs/scored" --baseline rt-none --out reports/distil-lspet \
  --title "RT on 400 photographs: no fine-tuning, labels, labels and a teacher, a teacher alone"
