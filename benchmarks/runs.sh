# Sourced by the benchmarks. Expects: checkpoints; `run` also runs, models (folders) and settings (options of every run).

weights() { # FILE MODEL PATH: the authors' weights as a checkpoint of ours
  [ -f "$3" ] || edgepose import-weights "$checkpoints/$1.h5" --model "$2" --out "$3"
}
run() { # NAME COMMAND...: a run's checkpoint under its name; goes on where it stopped
  local name=$1 kept
  shift
  [ ! -f "$models/$name.safetensors" ] || return 0
  kept=$(edgepose "$@" "${settings[@]}" --out "$runs/$name" | tail -1)
  cp "$kept" "$models/$name.safetensors"
}
