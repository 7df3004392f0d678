#!/usr/bin/env bash
# The embedded corpus from nothing to a table of phoneme error rates.
#
#   recipes/mini/run.sh [--stage 1] [--stop-stage 10] [--nj 2] [--cmd utils/local.sh]
#                       [--quick] [--models "ff blstmp"] [--seed 1]
set -euo pipefail
cd "$(dirname "$0")"

stage=1
stop_stage=99
nj=2
cmd=
quick=false
models=
seed=1
options=(stage stop_stage nj cmd quick models seed)
# shellcheck source=../utils/parse_options.sh
source ../utils/parse_options.sh
check_whole_number seed
check_configurations models "$models"
# shellcheck source=../path.sh
source ../path.sh
set_up mini
# shellcheck source=../cmd.sh
source ../cmd.sh
# shellcheck source=../utils/stages.sh
source ../utils/stages.sh

size=()
if [[ $quick == true ]]; then
  size=(--quick)
  models=${models:-ff blstmp}
fi
models=${models:-ff lstmp blstmp bgru}

run 1 "make the corpus" keraldi prepare mini --out data ${size[@]+"${size[@]}"}
for set in train dev test; do
  run 2 "check data of $set" \
    keraldi validate "data/$set" --lang data/lang --train data/train
done
for set in train dev test; do
  run 3 "extract features of $set" \
    keraldi extract "data/$set" --config conf/features.yaml --nj "$nj"
done
run 4 "train the phone trigram" \
  keraldi lm data/train data/lang/lm.arpa --lang data/lang --order 3 --smoothing kneser-ney
for set in train dev; do
  run 5 "label the frames of $set" keraldi align "data/$set" "exp/ali_$set" --lang data/lang
done
for model in $models; do
  run 6 "train $model" \
    keraldi train --config "conf/$model.yaml" --data data/train --dev data/dev --lang data/lang \
    --alignments exp/ali_train --dev-alignments exp/ali_dev --out "exp/$model" --seed "$seed"
done
for model in $models; do
  run 7 "decode dev with $model" \
    keraldi decode "exp/$model" data/dev "exp/$model/decode_dev" --lang data/lang --tune
  run 7 "decode test with $model" \
    keraldi decode "exp/$model" data/test "exp/$model/decode_test" --lang data/lang \
    --settings "exp/$model/decode_dev/settings.yaml"
done
for model in $models; do
  for set in dev test; do
    run 8 "score $set of $model" \
      keraldi score "data/$set" "exp/$model/decode_$set" --lang data/lang
  done
done
show 9 "results" write_results
# shellcheck disable=SC2086  # names of models have no spaces
run_reports 10 $models
