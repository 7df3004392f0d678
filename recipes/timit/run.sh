#!/usr/bin/env bash
# TIMIT: 3,696 training utterances, 50-speaker dev set, 24-speaker core test; 61 -> 48 -> 39 phones.
#
#   recipes/timit/run.sh --timit DIR [--models "ff blstmp"] [--stage 1] [--stop-stage 10]
#                        [--nj 2] [--cmd utils/local.sh] [--complete-test] [--seed 1]
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"

stage=1
stop_stage=99
nj=2
cmd=
timit=
models="ff lstmp blstmp bgru"
complete_test=false
seed=1
options=(stage stop_stage nj cmd timit models complete_test seed)
# shellcheck source=../utils/parse_options.sh
source ../utils/parse_options.sh
check_whole_number seed
check_configurations models "$models"
if ((stage <= 1)); then
  [[ -n $timit ]] || option_error "give the corpus: --timit DIR (LDC93S1, see README.md)"
  timit=$(cd "$called_from" && cd "$timit" 2>/dev/null && pwd) ||
    option_error "--timit: no such folder from $called_from"
fi
# shellcheck source=../path.sh
source ../path.sh
set_up ""
# shellcheck source=../cmd.sh
source ../cmd.sh
# shellcheck source=../utils/stages.sh
source ../utils/stages.sh

part=()
if [[ $complete_test == true ]]; then
  part=(--complete-test)
fi

run 1 "prepare data and lang" \
  keraldi prepare timit "$timit" --out data ${part[@]+"${part[@]}"}
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
