#!/usr/bin/env bash
# The main job on built-in data, from weights that come with edgepose: a student for the phone learns from a
# teacher on infants that neither has seen, and is exported, scored and compared.
# `make demo` runs it; DEMO=--smoke makes it a miniature of about a minute. Run again, it goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")"
out=${DEMO_OUT:-demo}
teacher=i student=rt-lite
clip=(--frames 30 --height 360)
videos=100 frames=1 size=320x240 epochs=5 # a fifth of the videos is scored, and a verdict needs 20
training=(--resolution 224 --batch 16) recipes=(--recipe fp16 --recipe weights-int8 --recipe int8)
scoring=(--speed)
if [ "${1:-}" = --smoke ]; then
  videos=12 frames=2 size=160x120 epochs=1
  clip=(--frames 4 --height 120)
  training=(--resolution 64 --batch 4 --steps-per-epoch 3) recipes=(--recipe fp16 --recipe int8)
  scoring=(--no-speed)
fi
data=$out/infants run=$out/run distilled=$out/models/$student-distilled.safetensors
calibrate=(--calibrate "$data" --count "$((videos / 2))")
say() { printf '\n== %s\n' "$*"; }

say "1/6 infants, made up and annotated exactly ($((videos * frames)) frames of $videos videos)"
# The weights that come with edgepose were trained on infants of seed 0.
edgepose data synth --out "$data" --videos "$videos" --frames "$frames" --seed 1 --size "$size"
edgepose data show "$data" --out "$out/infants.png" --overwrite

say "2/6 EfficientPose RT Lite learns from EfficientPose I and from the labels; both start from weights that come with edgepose"
edgepose distill --teacher "$teacher" --student "$student" --data "$data" --out "$run" "${training[@]}" \
  --epochs "$epochs" --schedule cosine --sigma efficientpose-final --learning-rate 0.0003
mkdir -p "$out/models"
cp "$run/best.safetensors" "$distilled" # a name of its own beside the student that it started as

say "3/6 exported for the phone"
edgepose export "$distilled" "${recipes[@]}" --output maps "${calibrate[@]}" --out "$out/tflite" --overwrite

say "4/6 scored on videos that no network has seen: the teacher, the student before, and after as files for the phone"
edgepose evaluate "default:$teacher" "default:$student" "$out"/tflite/*.tflite \
  --data "$data" --out "$out/scored" --overwrite "${scoring[@]}"

say "5/6 seen: the network in full beside its int8 file for the phone, on a clip of a made-up infant"
[ -s "$out/clip.mp4" ] || python docs/tutorial_clip.py "$out/clip.mp4" "${clip[@]}"
edgepose predict "$out/clip.mp4" --model "$out/tflite/$student-distilled-fp16-maps.tflite" --overlay \
  --out "$out/seen/full" --overwrite
edgepose predict "$out/clip.mp4" --model "$out/tflite/$student-distilled-int8-maps.tflite" --overlay \
  --out "$out/seen/phone" --overwrite
python docs/side_by_side.py "$out"/seen/{full,phone}/clip-overlay.mp4 "$out/beside.mp4" --names "full" "int8, for the phone"

say "6/6 compared with the student as it was before"
edgepose compare "$out/scored" --baseline "$student" --overlays full --out "$out/report" \
  --title "The demo: RT Lite before and after it learnt from EfficientPose I, on made-up infants"
printf '\n%s: the teacher. %s: the student before. %s-distilled-...: after, as files for
the phone: fp16 computes in float and is the full network. Made-up infants on which minutes were spent: the report shows the way and every measure on it, and
no figure in it speaks of real infants.\n' "$teacher" "$student" "$student"
printf 'Look at %s and %s.png\n' "$(realpath "$out")/beside.mp4" "$(realpath "$out")/beside"
printf 'Open %s\n' "$(realpath "$out")/report/report.html"
