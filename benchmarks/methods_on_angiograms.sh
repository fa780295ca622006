#!/usr/bin/env bash
# Every method for a few steps on real angiograms, labelled, and labelled with unlabelled ones: docs/results/methods_on_angiograms.md.
# usage: benchmarks/methods_on_angiograms.sh LIST TEACHER OUT      (LIST: kdseg prepare; TEACHER: model.pt of base width 12)
# A killed run resumes.
set -euo pipefail
cd "$(dirname "$0")/.."
list=$1 teacher=$2 out=$3
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
names() { .venv/bin/kdseg methods --json | .venv/bin/python -c "import json, sys; print(','.join(m['name'] + '$1' for m in json.load(sys.stdin)))"; }
common=(--datalist "$list" --teacher "$teacher" --seeds 1 --set teacher_def#base_channels=12)
.venv/bin/kdseg compare coronary_angiogram "${common[@]}" --methods "$(names '')" --budget 120 --out "$out/labelled"
.venv/bin/kdseg compare coronary_angiogram "${common[@]}" --methods "$(names +unlabelled)" --budget 40 --set batch_size=4 \
    --set steps_per_epoch=20 --set paraphraser_steps=100 --out "$out/unlabelled"
.venv/bin/kdseg compare coronary_angiogram "${common[@]}" --methods rkd+unlabelled,skds+unlabelled --budget 160 --set batch_size=4 \
    --set steps_per_epoch=40 --out "$out/longer"
