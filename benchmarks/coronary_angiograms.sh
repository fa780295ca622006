#!/usr/bin/env bash
# Teacher, student alone and distilled students on real angiograms: the runs behind docs/results/coronary_angiograms.md.
# usage: benchmarks/coronary_angiograms.sh FOLDER_OF_ANGIOGRAMS OUT [SEEDS]
# A killed run resumes: every arm goes on from its last epoch, finished arms are not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$1 out=$2 seeds=${3:-"0 1 2"}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
kdseg=.venv/bin/kdseg
bundle=bundles/coronary_angiogram
mkdir -p "$out"
[ -f "$out/list.json" ] || $kdseg prepare coronary_angiogram "$data" --out "$out/list.json" --seed 0
common=(--datalist "$out/list.json" --set epochs=30 --set steps_per_epoch=50 --set val_interval=2 --set teacher_def#base_channels=12)

evaluate() { # folder
    [ -f "$1/evaluation_test/summary.json" ] || $kdseg evaluate "$1" --datalist "$out/list.json"
}
teacher() {
    $kdseg train $bundle "${common[@]}" --teacher-network --seed 0 --output-dir "$out/teacher"
    evaluate "$out/teacher"
}
alone() { # seed
    $kdseg train $bundle "${common[@]}" --seed "$1" --output-dir "$out/alone_$1"
    evaluate "$out/alone_$1"
}
distilled() { # method, seed
    $kdseg distill $bundle "${common[@]}" --method "$1" --teacher "$out/teacher" --seed "$2" --output-dir "$out/$1_$2"
    evaluate "$out/$1_$2"
}
# two lanes, one core each: the students alone beside the teacher, then the distilled students
read -r first second third <<< "$seeds"
teacher > "$out/teacher.log" 2>&1 &
for seed in $seeds; do alone "$seed"; done > "$out/alone.log" 2>&1
wait
{ for seed in $seeds; do distilled kd "$seed"; done; distilled lightvessel "$third"; } > "$out/lane1.log" 2>&1 &
for seed in $first $second; do distilled lightvessel "$seed"; done > "$out/lane2.log" 2>&1
wait
