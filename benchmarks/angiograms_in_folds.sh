#!/usr/bin/env bash
# Teacher, student alone and distilled students on 40 real angiograms in folds: the comparison of docs/results/coronary_angiograms.md.
# usage: benchmarks/angiograms_in_folds.sh FOLDER_OF_ANGIOGRAMS OUT      (two cores: about two and a half hours; needs kdseg[ray])
# A killed run resumes.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$1 out=$2
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
kdseg=.venv/bin/kdseg
mkdir -p "$out"
# no test section: each fold is the test set once
[ -f "$out/list.json" ] || $kdseg prepare coronary_angiogram "$data" --out "$out/list.json" --seed 0 --fractions 0.8 0.2 0 --folds 4
common=(
    coronary_angiogram --datalist "$out/list.json" --budget 2400 --engine ray
    --set teacher_def#base_channels=12 --set network#base_channels=2 --set learning_rate=0.005 --set batch_size=4
    --set teacher:epochs=30 --set teacher:learning_rate=0.002 --set teacher:batch_size=8 --set mlflow=false
)
$kdseg compare "${common[@]}" --folds 3 --seeds 3 --methods kd,lightvessel,graph_flow,adaptive_affinity,tinyunet \
    --set 'kd:method_args={"logits":{"weight":3}}' --set lightvessel:discriminator_learning_rate=0.0005 \
    --set 'graph_flow:method_args={"adversarial":{"weight":0},"logits":{"weight":3}}' --set graph_flow:paraphraser_steps=200 --out "$out/papers"
$kdseg compare "${common[@]}" --folds 1 --seeds 1 --methods emkd,coco,cirkd,skds,fsp,sp,nst,rkd \
    --set coco:discriminator_learning_rate=0.0005 --set skds:discriminator_learning_rate=0.0005 --out "$out/others_1"
$kdseg compare "${common[@]}" --folds 1 --seeds 1 --methods fitnet,at,ft,vid,ofd,ifvd,cwd --out "$out/others_2"
