#!/usr/bin/env bash
# reports/on-device: RT and RT Lite, the weights that come with edgepose, in every form that can be shipped, on this
# machine and on emulated phones: 100 pictures of 20 made-up infants for accuracy and cost, and 50 photographs of real
# ones, which say more about where rounding differs. Then how far apart keypoints lie, file by file. Resumes.
#
# `qat` is the int8 file that comes with edgepose. With BESIDE=reports/on-device/parity.json cells that were not run stay
# as that table has them, of whatever weights it was.
#
#   PHOTOGRAPHS=10 CPUS=cortex-a76 benchmarks/on_device.sh [SHARED]      SHARED holds data/syrip
#
# FORMS names those that run on the devices, such as "int8-ptq int8-qat", INFANT_CPUS the devices that see the made-up
# infants too; without, all do. This machine runs all forms.
#
# DRAWN names a folder that holds `infants` (real_infants.sh draws it); without, they are drawn.
set -euo pipefail
cd "$(dirname "$0")/.."
shared=${1:-../shared}
runs=${RUNS:-runs/on-device} drawn=${DRAWN:-${RUNS:-runs/on-device}}
read -ra networks <<<"${NETWORKS:-rt rt-lite}"
read -ra cpus <<<"${CPUS:-cortex-a53 cortex-a72 cortex-a76}"
read -ra forms <<<"${FORMS:-fp32 fp16 weights-int8 dynamic int8 int8-ptq int8-qat}"
infants=$drawn/infants photographs=coco:$shared/data/syrip files=$runs/files
mkdir -p "$runs"

. benchmarks/runs.sh
draw "$infants" --videos 100 --frames 5 --seed 0 --size 640x480
learnt=(--data "$photographs,crop=person,margin=0.35,turn=upright" --data "in-motion:$infants")
for key in "${networks[@]}"; do
  [ -f "$files/$key-int8-maps.tflite" ] || edgepose export "default:$key" --output maps --out "$files" \
    --recipe fp32 --recipe fp16 --recipe weights-int8 --recipe dynamic --recipe int8 \
    --calibrate "$photographs" --crop person --count 100
  copied "edgepose/weights/$key-int8" "$files/$key-int8-qat-maps"
  int8 "$key" "default:$key"
done
on_devices=()
for key in "${networks[@]}"; do on_devices+=("${forms[@]/#/$files/$key-}"); done
on_devices=("${on_devices[@]/%/-maps.tflite}")
scored_on() { # TARGET DATA OPTIONS...
  local target=$1 data=$2 models=("${on_devices[@]}")
  shift 2
  [ "$target" != desktop ] || models=("$files"/*.tflite)
  edgepose evaluate "${models[@]}" --data "$data" --target "$target" "$@"
}
for cpu in "${cpus[@]}"; do edgepose device create --cpu "$cpu"; done
for target in desktop "${cpus[@]/#/emulated:}"; do
  scored_on "$target" "$photographs" --crop person --margin 0.35 --turn upright --score limbs \
    --limit "${PHOTOGRAPHS:-50}" --no-speed --out "$runs/scored/photographs"
done
read -ra cpus <<<"${INFANT_CPUS:-${cpus[*]}}"
for target in desktop "${cpus[@]/#/emulated:}"; do
  scored_on "$target" "in-motion:$infants" --out "$runs/scored/infants"
done
edgepose compare "$runs/scored/infants" --baseline rt-fp32-maps --overlays none --out reports/on-device \
  --title "RT and RT Lite on emulated phones: accuracy against instructions"
python benchmarks/parity.py "$runs"/scored/{infants,photographs} ${BESIDE:+--beside "$BESIDE"} \
  --out reports/on-device/parity
