#!/usr/bin/env bash
# reports/paper: the paper's tables and figures with ours beside them. Tables 1 to 3 and figure 4 score the networks of
# distil_infants.sh (B4 at 128 px) on the 400 made-up infants of its test split; tables 5 and 6 and figure 5 train every
# network themselves, in miniature. A quarter of an hour on two cores; resumes.
set -euo pipefail
cd "$(dirname "$0")/.."
models=runs/distil-infants/models
runs=runs/paper
infants=(--scale short --data runs/distil-infants/infants --out "$runs")
two=(--models "i=$models/i.safetensors" --models "rt=$models/rt-plain.safetensors")

edgepose paper table1 "${infants[@]}" --models "b4=$models/b4.safetensors" "${two[@]}" \
  --models "rt-lite=$models/rt-lite-plain.safetensors"
for experiment in table2 table3 fig4; do
  edgepose paper "$experiment" "${infants[@]}" "${two[@]}"
done
for experiment in table5 table6 fig5; do
  edgepose paper "$experiment" --out "$runs"
done
for folder in "$runs"/{table,fig}[0-9]; do # without the predictions, which the results rest on
  mkdir -p "reports/paper/$(basename "$folder")"
  cp -r "$folder"/{results.json,report.md,figures} "reports/paper/$(basename "$folder")"
done
