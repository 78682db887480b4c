#!/usr/bin/env bash
# reports/on-device: RT and RT Lite, the weights that come with edgepose, in every form that can be shipped, on this
# machine and on emulated phones: 100 pictures of 20 made-up infants for accuracy and cost, and 50 photographs of real
# ones, which say more about where rounding differs. Then how far apart keypoints lie, file by file. Resumes.
#
# `qat` is the int8 file that comes with edgepose. Cells that were not run stay as the committed table has them, with
# BESIDE=reports/on-device/parity.json, which is of those weights; else they are not in it.
#
#   PHOTOGRAPHS=10 CPUS=cortex-a76 benchmarks/on_device.sh [SHARED]      SHARED holds data/syrip
#
# INFANT_CPUS names those that see the made-up infants too; without, all do.
#
# DRAWN names a folder that holds `infants` (real_infants.sh draws it); without, they are drawn.
set -euo pipefail
cd "$(dirname "$0")/.."
shared=${1:-../shared}
runs=${RUNS:-runs/on-device} drawn=${DRAWN:-${RUNS:-runs/on-device}}
read -ra networks <<<"${NETWORKS:-rt rt-lite}"
read -ra cpus <<<"${CPUS:-cortex-a53 cortex-a72 cortex-a76}"
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
for cpu in "${cpus[@]}"; do edgepose device create --cpu "$cpu"; done
for target in desktop "${cpus[@]/#/emulated:}"; do
  edgepose evaluate "$files"/*.tflite --data "$photographs" --crop person --margin 0.35 --turn upright --score limbs \
    --limit "${PHOTOGRAPHS:-50}" --no-speed --target "$target" --out "$runs/scored/photographs"
done
read -ra cpus <<<"${INFANT_CPUS:-${cpus[*]}}"
for target in desktop "${cpus[@]/#/emulated:}"; do
  edgepose evaluate "$files"/*.tflite --data "in-motion:$infants" --target "$target" --out "$runs/scored/infants"
done
edgepose compare "$runs/scored/infants" --baseline rt-fp32-maps --overlays none --out reports/on-device \
  --title "RT and RT Lite on emulated phones: accuracy against instructions"
python benchmarks/parity.py "$runs"/scored/{infants,photographs} ${BESIDE:+--beside "$BESIDE"} \
  --out reports/on-device/parity
