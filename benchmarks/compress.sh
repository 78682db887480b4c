#!/usr/bin/env bash
# reports/compressed-vs-full-infants and -lspet: RT and RT Lite in every form that can be shipped, each against its own
# float32 network. On infants these are the default weights, scored on made-up infants and on photographs of real ones
# (KEY-photographs); on LSPET the networks of distil_lspet.sh. Resumes.
#
#   FORMS="qat taught pruned" benchmarks/compress.sh infants|lspet [SHARED]      SHARED holds data/syrip, data/lspet
#
# NETWORK names one of the two; without, both. DRAWN names a folder that holds `infants` (real_infants.sh draws it);
# without, they are drawn.
set -euo pipefail
cd "$(dirname "$0")/.."
set=${1:?infants or lspet}
shared=${2:-../shared}
runs=${RUNS:-runs/compress-$set} drawn=${DRAWN:-$runs}
steps=${STEPS:-100}
count=(--count 48)
read -ra forms <<<"${FORMS-qat taught pruned}" # beside those that need no training

. benchmarks/runs.sh
case $set in
  infants)
    infants=$drawn/infants photographs=coco:$shared/data/syrip
    draw "$infants" --videos 100 --frames 5 --seed 0 --size 640x480
    shipped=edgepose/weights
    networks=("rt=$shipped/rt.safetensors" "rt-lite=$shipped/rt-lite.safetensors") teacher=$shipped/i.safetensors
    data=(--data "$photographs,crop=person,margin=0.35,turn=upright" --data "in-motion:$infants")
    # The weights have learnt from the validation photographs too.
    split=(--split train+val --validation-split none --drop-shared)
    calibrate=(--calibrate "$photographs" --crop person "${count[@]}")
    scores() { # of both data sets
      scored_on "$key" "made-up infants" --data "in-motion:$infants"
      scored_on "$key-photographs" "real infants, limbs" --data "$photographs" --crop person --margin 0.35 --turn upright --score limbs
    }
    ;;
  lspet)
    models=runs/distil-lspet/models
    networks=("rt=$models/labels-570-seed0.safetensors" "rt-lite=$models/rt-lite-none.safetensors")
    teacher=$models/i-labels-380.safetensors
    data=(--data "lspet:$shared/data/lspet" --crop person) split=()
    calibrate=(--calibrate "${data[1]}" "${data[@]:2}" "${count[@]}")
    scores() { scored_on "$key" LSPET "${data[@]}"; }
    ;;
  *) echo "error: unknown set $set; known: infants, lspet" >&2 && exit 2 ;;
esac

once() { # FILE COMMAND...: makes FILE unless it is there
  local file=$1
  shift
  [ -f "$file" ] || "$@"
}
train() { # FOLDER COMMAND...: a run, gone on with where it stopped
  local folder=$1
  shift
  "$@" "${data[@]}" "${split[@]}" --out "$folder"
}
scored() { # FOLDER NAME AS: a file among those that are scored
  copied "$1/$2-maps" "$files/scored-files/$3-maps"
}
scored_on() { # REPORT TITLE OPTIONS...: every form of $key, scored and set beside float32
  local report=$1 title=$2
  shift 2
  edgepose evaluate "$files"/scored-files/*.tflite "$@" --no-speed --out "$files/$report-scored"
  edgepose compare "$files/$report-scored" --baseline "$key-fp32-maps" --overlays none \
    --out "reports/compressed-vs-full-$set/$report" --title "$key: every compressed form against float32 ($title)"
}
# The forms that are trained, each of `compressed`'s $key, $files and $float.
qat() { # of the default weights the file that ships, which learnt longer (real_infants.sh)
  [ "$set" = lspet ] || { mkdir -p "$files/qat" && copied "$shipped/$key-int8" "$files/qat/$key-int8-qat-maps"; }
  once "$files/qat/$key-int8-qat-maps.tflite" train "$files/qat" edgepose qat "$float" --steps "$steps" "${count[@]}"
  scored "$files/qat" "$key-int8-qat" "$key-int8-qat"
}
taught() { # RT alone: I cannot teach RT Lite here, which reads its input otherwise
  [ "$key" = rt ] || return 0
  once "$files/taught/$key-int8-qat-maps.tflite" train "$files/taught" edgepose qat "$float" --steps "$steps" \
    --teacher "$teacher" --loss both "${count[@]}"
  scored "$files/taught" "$key-int8-qat" "$key-int8-qat-taught"
}
pruned() {
  once "$files/pruned/pruning.json" train "$files/pruned" edgepose prune "$float" --sparsity 0.5 --loss both \
    --steps "$((2 * steps))" --batch 8 --learning-rate 3e-4
  cp "$files/pruned/last.safetensors" "$files/$key-pruned.safetensors"
  once "$files/pruned-qat/$key-pruned-int8-qat-maps.tflite" train "$files/pruned-qat" edgepose qat \
    "$files/$key-pruned.safetensors" --teacher "$float" --steps "$steps" "${count[@]}"
  scored "$files/pruned-qat" "$key-pruned-int8-qat" "$key-pruned-int8-qat"
}
compressed() { # KEY CHECKPOINT: every form of it
  local key=$1 files=$runs/$1
  local float=$files/$key.safetensors # a file of another name than its network's would name its results
  mkdir -p "$files/scored-files"
  cp "$2" "$float"
  once "$files/$key-int8-maps.tflite" edgepose export "$float" --output maps --recipe fp32 --recipe fp16 \
    --recipe dynamic --recipe int8 "${calibrate[@]}" --out "$files" --overwrite
  once "$files/$key-int8-ptq-maps.tflite" edgepose quantize "$float" "${data[@]}" "${count[@]}" --out "$files"
  cp "$files"/*.tflite "$files"/*.json "$files/scored-files"
  for form in "${forms[@]}"; do
    "$form"
  done
  scores
}
for each in "${networks[@]}"; do
  [ -z "${NETWORK:-}" ] || [ "$NETWORK" = "${each%=*}" ] || continue
  compressed "${each%=*}" "${each#*=}"
done
