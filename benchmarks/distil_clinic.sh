#!/usr/bin/env bash
# reports/distil-clinic: what a teacher is worth where labels are few, noisy or half missing; all seeds together, by
# benchmarks/seeds.py. The student, RT Lite from the authors' MPII weights, has seen no infant; a teacher explains
# frames whose labels are not used. Against labels alone at the same steps, three seeds, each seed with labels of
# other videos; SyRIP's validation photographs choose the epoch, its test part is only scored. Resumes.
#
#   CASES="few-50 few-150 noisy half" TEACHERS="blazepose i" SEEDS="0 1 2" benchmarks/distil_clinic.sh [SHARED]
#
#   few-N   N labelled photographs of SyRIP; the rest of SyRIP and LIMIT of LSPET-more without labels
#   noisy   500 made-up infants of home whose training labels spread as SPREAD times Table 2's raters do, 2,000 without
#   half    half of SyRIP labelled; the other half and LIMIT of LSPET-more by the teacher alone
#
# What a label says stays the label's (--teacher-share 0.1), and of the frames without, infants come before adults: with
# halves of both, and 300 steps for 600, a teacher took as much as it gave (docs/results.md).
#
# BlazePose heavy is a black box that did not learn from our labels. I (default:i) learnt from SyRIP's and LSPET's labels: on
# them it says what a teacher is worth that knows the labels which the student lacks. With the defaults, days on two
# cores; the committed figures say with what they were made.
set -euo pipefail
cd "$(dirname "$0")/.."
shared=${1:-../shared}
runs=${RUNS:-runs/distil-clinic}
models=$runs/models
checkpoints=$shared/reference/efficientpose peers=$runs/peers
mkdir -p "$models"
limit=${LIMIT:-1774} resolution=${RESOLUTION:-224}
settings=(--keypoints in-motion-19 --partial --drop-shared --augmentation home-cutout --sigma efficientpose-final
  --schedule cosine --batch 16 --learning-rate 1e-3 --resolution "$resolution"
  --epochs "${EPOCHS:-6}" --steps-per-epoch "${STEPS:-100}")

. benchmarks/runs.sh
weights EfficientPoseRT_LITE rt-lite "$runs/rt-lite-mpii.safetensors"
black=$peers/pose_landmark_heavy-detected.tflite
[ -f "$black" ] || edgepose import-tflite "$shared/reference/peers/pose_landmark_heavy.tflite" --output blazepose \
  --detector "$shared/reference/peers/pose_detection.tflite" --out "$peers"

case_data() { # CASE SEED ARM: sets `data`, and `test`, what is scored
  local crop=crop=person,turn=upright adults home=$runs/home noisy=$runs/home-noisy
  adults="lspet:$shared/data/lspet-more=0.5,$crop,labels=none"
  test=(--data "coco:$shared/data/syrip" --score limbs --crop person --margin 0.35 --turn upright)
  case $1 in
    few-*) data=(--data "coco:$shared/data/syrip=4,$crop,margin=0.35,labels=${1#few-},draw=$2") ;;
    half) data=(--data "coco:$shared/data/syrip=4,$crop,margin=0.35,labels=0.5,draw=$2") ;;
    noisy)
      draw "$home" --variety home --videos 900 --frames 4 --seed 77 --size 320x240
      [ -d "$noisy" ] || edgepose data convert "in-motion:$home" --to coco --rated "${SPREAD:-1}" --out "$noisy"
      data=(--data "coco:$noisy=1,crop=person,margin=0.35,turn=upright,labels=500,draw=$2")
      test=(--data "coco:$noisy" --crop person --margin 0.35 --turn upright)
      adults=
      ;;
    *) echo "unknown case $1; known: few-N, noisy, half" >&2 && exit 2 ;;
  esac
  [ "$3" = labels ] || [ -z "$adults" ] || data+=(--data "$adults" --limit "$limit")
}

for case in ${CASES:-few-50 few-150 noisy half}; do
  for seed in ${SEEDS:-0 1 2}; do
    scored=()
    for arm in labels ${TEACHERS:-blazepose i}; do
      case_data "$case" "$seed" "$arm"
      how=(train --model rt-lite)
      [ "$arm" = labels ] || how=(distill --student rt-lite --teacher "$arm" --teacher-confidence 0.1 --teacher-share 0.1
        --teacher-cache "$runs/teacher-cache")
      [ "$arm" != blazepose ] || how+=(--teacher-weights "$black")
      name=$case-seed$seed-$arm
      run "$name" "${how[@]}" "${data[@]}" --init "$runs/rt-lite-mpii.safetensors" --seed "$seed"
      scored+=("$models/$name.safetensors")
    done
    edgepose evaluate "${scored[@]}" "${test[@]}" --no-speed --out "$runs/scored/$case-seed$seed"
    edgepose compare "$runs/scored/$case-seed$seed" --baseline "$case-seed$seed-labels" --overlays none \
      --out "$runs/reports/$case-seed$seed" --title "RT Lite, $case, seed $seed: labels alone, and a teacher"
  done
  python benchmarks/seeds.py "$runs/scored/$case"-seed* --baseline labels --out "reports/distil-clinic/$case"
done
