#!/usr/bin/env bash
# The recommended recipe and kd against the student alone: the comparison of docs/results/recommended.md.
# usage: benchmarks/recommended_on_angiograms.sh FOLDER_OF_ANGIOGRAMS OUT      (one core: about an hour and a half)
# A killed run resumes.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$1 out=$2
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
kdseg=.venv/bin/kdseg
mkdir -p "$out"
# no test section: each fold is the test set once
[ -f "$out/list.json" ] || $kdseg prepare coronary_angiogram "$data" --out "$out/list.json" --seed 0 --fractions 0.8 0.2 0 --folds 4
$kdseg compare coronary_angiogram --datalist "$out/list.json" --folds 2 --seeds 5 --methods kd,recommended --budget 1500 \
    --set teacher_def#base_channels=12 --set network#base_channels=2 --set learning_rate=0.005 --set batch_size=4 \
    --set teacher:epochs=30 --set teacher:learning_rate=0.002 --set teacher:batch_size=8 --set mlflow=false --out "$out/run"
