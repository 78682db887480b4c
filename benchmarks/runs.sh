# Sourced by the benchmarks. Each function says which variables it expects.

weights() { # FILE MODEL PATH, and checkpoints: the authors' weights as a checkpoint of ours
  [ -f "$3" ] || edgepose import-weights "$checkpoints/$1.h5" --model "$2" --out "$3"
}
draw() { # FOLDER OPTIONS...: made-up infants, unless they are there
  [ -f "$1/dataset.json" ] || edgepose data synth --out "$@"
}
run() { # NAME COMMAND..., and runs, models (folders), settings (options of every run): a run's checkpoint under its name; goes on where it stopped
  local name=$1 kept
  shift
  [ ! -f "$models/$name.safetensors" ] || return 0
  kept=$(edgepose "$@" "${settings[@]}" --out "$runs/$name" | tail -1)
  cp "$kept" "$models/$name.safetensors"
}
int8() { # NAME CHECKPOINT OPTIONS..., and runs, files (folders), learnt (data): int8 by `quantize`, and by `qat` with OPTIONS
  local name=$1 checkpoint=$2
  shift 2
  [ -f "$files/$name-int8-ptq-maps.tflite" ] ||
    edgepose quantize "$checkpoint" "${learnt[@]}" --count 200 --out "$files"
  # QAT_STEPS=0 leaves training out.
  [ "${QAT_STEPS:=600}" = 0 ] || [ -f "$files/$name-int8-qat-maps.tflite" ] || {
    edgepose qat "$checkpoint" "${learnt[@]}" "$@" --drop-shared --steps "$QAT_STEPS" --learning-rate 0.0003 \
      --out "$runs/$name-qat"
    cp "$runs/$name-qat"/*-int8-qat-maps.* "$files"
  }
}
copied() { # FILE AS: a copy of a file and its sidecar, which knows it by its hash, not by its name
  local kind
  for kind in tflite json; do
    cp "$1.$kind" "$2.$kind"
  done
}
