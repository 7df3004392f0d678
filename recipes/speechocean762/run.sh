#!/usr/bin/env bash
# Non-native English: flat start from transcripts without times, one model, PER on 16 speakers.
#
#   recipes/speechocean762/run.sh --corpus DIR [--model blstmp] [--stage 1] [--stop-stage 10]
#                                 [--nj 2] [--cmd utils/local.sh] [--seed 1]
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"

stage=1
stop_stage=99
nj=2
cmd=
corpus=
model=blstmp
seed=1
options=(stage stop_stage nj cmd corpus model seed)
# shellcheck source=../utils/parse_options.sh
source ../utils/parse_options.sh
check_whole_number seed
if ((stage <= 1)); then
  [[ -n $corpus ]] || option_error "give the corpus: --corpus DIR (OpenSLR 101, see README.md)"
  corpus=$(cd "$called_from" && cd "$corpus" 2>/dev/null && pwd) ||
    option_error "--corpus: no such folder from $called_from"
fi
check_configurations model "$model"
# shellcheck source=../path.sh
source ../path.sh
set_up ""
# shellcheck source=../cmd.sh
source ../cmd.sh
# shellcheck source=../utils/stages.sh
source ../utils/stages.sh

run 1 "prepare data and lang" keraldi prepare speechocean762 "$corpus" --out data
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
run 5 "align train from a flat start" \
  keraldi align data/train exp/ali_train --lang data/lang --flat conf/flat.yaml
run 5 "align dev with the last network" \
  keraldi align data/dev exp/ali_dev --lang data/lang --model exp/ali_train/flat/last
run 6 "train $model" \
  keraldi train --config "conf/$model.yaml" --data data/train --dev data/dev --lang data/lang \
  --alignments exp/ali_train --dev-alignments exp/ali_dev --out "exp/$model" --seed "$seed"
run 7 "decode dev with $model" \
  keraldi decode "exp/$model" data/dev "exp/$model/decode_dev" --lang data/lang --tune
run 7 "decode test with $model" \
  keraldi decode "exp/$model" data/test "exp/$model/decode_test" --lang data/lang \
  --settings "exp/$model/decode_dev/settings.yaml"
for set in dev test; do
  run 8 "score $set of $model" \
    keraldi score "data/$set" "exp/$model/decode_$set" --lang data/lang
done
show 9 "results" write_results
run_reports 10 "$model"
