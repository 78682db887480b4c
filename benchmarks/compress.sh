#!/usr/bin/env bash
# reports/compressed-vs-full-lspet and -infants: RT and RT Lite in every form that can be shipped, each against its
# own float32 network. The networks are those of distil_lspet.sh and distil_infants.sh. Two hours a set; resumes.
#
#   FORMS="qat taught pruned" benchmarks/compress.sh lspet|infants [LSPET]
set -euo pipefail
cd "$(dirname "$0")/.."
set=${1:?lspet or infants}
runs=runs/compress-$set
case $set in
  lspet)
    data=(--data "lspet:${2:-../shared/data/lspet}" --crop person)
    networks=(rt=labels-570-seed0 rt-lite=rt-lite-none) from=runs/distil-lspet/models
    teacher=$from/i-labels-380.safetensors
    ;;
  infants)
    data=(--data runs/distil-infants/infants)
    networks=(rt=rt-plain rt-lite=rt-lite-plain) from=runs/distil-infants/models
    teacher=$from/i.safetensors
    ;;
  *) echo "error: unknown set $set; known: lspet, infants" >&2 && exit 2 ;;
esac
steps=${STEPS:-100}
calibrate=(--count 48)
read -ra forms <<<"${FORMS:-qat taught pruned}" # beside those that need no training

once() { # FILE COMMAND...: makes FILE unless it is there
  local file=$1
  shift
  [ -f "$file" ] || "$@"
}
train() { # FOLDER COMMAND...: a run, gone on with where it stopped
  local folder=$1
  shift
  "$@" "${data[@]}" --out "$folder"
}
scored() { # FOLDER NAME AS: a file among those that are scored; its sidecar knows it by its hash, not by its name
  local kind
  for kind in tflite json; do
    cp "$1/$2-maps.$kind" "$files/scored-files/$3-maps.$kind"
  done
}
# The forms that are trained, each of `compressed`'s $key, $files and $float.
qat() {
  once "$files/qat/$key-int8-qat-maps.tflite" train "$files/qat" edgepose qat "$float" --steps "$steps" "${calibrate[@]}"
  scored "$files/qat" "$key-int8-qat" "$key-int8-qat"
}
taught() {
  once "$files/taught/$key-int8-qat-maps.tflite" train "$files/taught" edgepose qat "$float" --steps "$steps" \
    --teacher "$teacher" --loss both "${calibrate[@]}"
  scored "$files/taught" "$key-int8-qat" "$key-int8-qat-taught"
}
pruned() {
  once "$files/pruned/pruning.json" train "$files/pruned" edgepose prune "$float" --sparsity 0.5 --loss both \
    --steps "$((2 * steps))" --batch 8 --learning-rate 3e-4
  cp "$files/pruned/last.safetensors" "$files/$key-pruned.safetensors"
  once "$files/pruned-qat/$key-pruned-int8-qat-maps.tflite" train "$files/pruned-qat" edgepose qat \
    "$files/$key-pruned.safetensors" --teacher "$float" --steps "$steps" "${calibrate[@]}"
  scored "$files/pruned-qat" "$key-pruned-int8-qat" "$key-pruned-int8-qat"
}
compressed() { # KEY: every form of $files/KEY.safetensors
  local key=$1 files=$runs/$1
  local float=$files/$key.safetensors
  once "$files/$key-int8-maps.tflite" edgepose export "$float" --output maps --recipe fp32 --recipe fp16 \
    --recipe dynamic --recipe int8 --calibrate "${data[1]}" "${data[@]:2}" "${calibrate[@]}" --out "$files" --overwrite
  once "$files/$key-int8-ptq-maps.tflite" edgepose quantize "$float" "${data[@]}" "${calibrate[@]}" --out "$files"
  mkdir -p "$files/scored-files"
  cp "$files"/*.tflite "$files"/*.json "$files/scored-files"
  for form in "${forms[@]}"; do
    "$form"
  done
  edgepose evaluate "$files"/scored-files/*.tflite "${data[@]}" --no-speed --out "$files/scored"
  edgepose compare "$files/scored" --baseline "$key-fp32-maps" --out "reports/compressed-vs-full-$set/$key" \
    --title "$key: every compressed form against float32 ($set)"
}
for each in "${networks[@]}"; do
  key=${each%=*}
  mkdir -p "$runs/$key"
  cp "$from/${each#*=}.safetensors" "$runs/$key/$key.safetensors"
  compressed "$key"
done
