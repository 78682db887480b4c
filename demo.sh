#!/usr/bin/env bash
# The main job on built-in data: made-up infants, a network trained on them, exported, scored, compared.
# `make demo` runs it; DEMO=--smoke makes it a miniature of about two minutes.
set -euo pipefail
cd "$(dirname "$0")"
out=${DEMO_OUT:-demo}
videos=120 frames=6 epochs=12 resolution=128
if [ "${1:-}" = --smoke ]; then videos=12 frames=2 epochs=1 resolution=64; fi
data=$out/infants
say() { printf '\n== %s\n' "$*"; }

say "1/5 made-up infants, annotated exactly ($((videos * frames)) frames of $videos videos)"
[ -f "$data/dataset.json" ] && edgepose data info "$data" >/dev/null 2>&1 ||
  edgepose data synth --out "$data" --videos "$videos" --frames "$frames" --seed 1 --size 320x240
edgepose data show "$data" --out "$out/infants.png" --overwrite

say "2/5 EfficientPose RT Lite, trained from nothing at $resolution px (the paper: 224 px, 14,483 frames, 100 epochs)"
resume=$([ -f "$out/run/run.json" ] && echo --resume || true)
edgepose train --model rt-lite --data "$data" --out "$out/run" --resolution "$resolution" --epochs "$epochs" \
  --schedule cosine --sigma efficientpose-wide --learning-rate 0.002 $resume
cp "$out/run/best.safetensors" "$out/rt-lite.safetensors"

say "3/5 exported for the phone"
edgepose export "$out/rt-lite.safetensors" --recipe fp32 --recipe fp16 --recipe dynamic --recipe int8 \
  --output maps --calibrate "$data" --count "$((videos / 2))" --out "$out/tflite" --overwrite
edgepose export "$out/rt-lite.safetensors" --recipe fp16 --output keypoints --calibrate "$data" \
  --count "$((videos / 2))" --out "$out/tflite" --overwrite

say "4/5 scored on infants that the network has never seen"
edgepose evaluate "$out/rt-lite.safetensors" "$out"/tflite/*.tflite --data "$data" --out "$out/scored" --overwrite

say "5/5 compared"
edgepose compare "$out/scored" --baseline rt-lite-fp32-maps --overlays full --out "$out/report" \
  --title "The demo: RT Lite on made-up infants"
printf '\nMade-up infants, and minutes of training from nothing where the paper took days: the network has barely
begun to learn. This shows the way and every measure on it; reports/authors-rt-lspet shows trained networks.\n'
printf 'Open %s\n' "$(realpath "$out")/report/report.html"
