#!/usr/bin/env bash
# After a recipe: n-grams of several orders, and an ensemble of several seeds, each tested against
# what it should be better than. Run it in the recipe's folder:
#
#   cd recipes/mini && ../utils/ensemble.sh [--model blstmp] [--seeds "1 2 3"] [--orders "2 3"]
#                                           [--smoothing kneser-ney] [--train-set train] [--stage 1]
#                                           [--stop-stage 9]
#
# Settings are tuned on dev for every system and frozen for test. Posteriors are stored once; all
# decoding after that needs no TensorFlow. Comparisons are kept in exp/compare.
set -euo pipefail

stage=1
stop_stage=9
nj=2
cmd=
model=blstmp
seeds="1 2 3"
orders="2 3"
smoothing=kneser-ney
train_set=train
options=(stage stop_stage nj cmd model seeds orders smoothing train_set)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=parse_options.sh
source "$here/parse_options.sh"
[[ -d exp/ali_$train_set ]] ||
  option_error "no exp/ali_$train_set in $PWD; run the recipe first, in its folder"
check_configurations model "$model"
# shellcheck source=../path.sh
source "$here/../path.sh"
# shellcheck source=../cmd.sh
source "$here/../cmd.sh"
# shellcheck source=stages.sh
source "$here/stages.sh"
set_up ""

read -ra seed <<<"$seeds"
read -ra order <<<"$orders"
last=${order[-1]}gram
first=exp/${model}_seed${seed[0]}

# Decodes and scores the stored posteriors of a folder: tuned on dev, frozen for test.
decode_sets() {
  local folder=$1 name=$2 arpa=$3 set
  for set in dev test; do
    local settings=(--tune)
    [[ $set == dev ]] || settings=(--settings "$folder/decode_dev_$name/settings.yaml")
    run 4 "decode $set of $(basename "$folder") with $name" \
      keraldi decode "$folder/posteriors_$set" "data/$set" "$folder/decode_${set}_$name" \
      --lang data/lang --arpa "$arpa" "${settings[@]}"
    run 5 "score $set of $(basename "$folder") with $name" \
      keraldi score "data/$set" "$folder/decode_${set}_$name" --lang data/lang
  done
}

# The combination with the lowest error rate on dev. To take what is best on test is to tune on it.
best_on_dev() {
  local how
  for how in mean product rover; do
    awk -v how="$how" 'NR == 1 { print $2, how }' "exp/${model}_$how/decode_dev_$last/scoring/per"
  done | sort -g | sed -n '1s/.* //p'
}

print_comparisons() {
  local file
  echo "of the combinations dev chooses: $(best_on_dev)"
  for file in exp/compare/*; do
    [[ $file == *.json ]] || { basename "$file" && sed 's/^/  /' "$file"; }
  done
}

compare() {
  run 7 "compare $3" keraldi compare "$1" "$2" --out "exp/compare/$3"
}

for n in "${order[@]}"; do
  run 1 "train the phone ${n}-gram" keraldi lm data/train "exp/lm/${n}gram.arpa" \
    --lang data/lang --order "$n" --smoothing "$smoothing"
  run 1 "perplexity of the ${n}-gram" keraldi perplexity "exp/lm/${n}gram.arpa" \
    data/train data/dev data/test --lang data/lang
done
members=()
for s in "${seed[@]}"; do
  member=exp/${model}_seed$s
  members+=("$member")
  run 2 "train $model with seed $s" \
    keraldi train --config "conf/$model.yaml" --data "data/$train_set" --dev data/dev --lang data/lang \
    --alignments "exp/ali_$train_set" --dev-alignments exp/ali_dev --out "$member" --seed "$s"
  for set in dev test; do
    run 2 "store posteriors of $set, seed $s" \
      keraldi decode "$member" "data/$set" "$member/posteriors_$set" --lang data/lang \
      --greedy --posteriors
  done
done
for set in dev test; do
  for how in mean product; do
    run 3 "combine posteriors of $set: $how" \
      keraldi combine "${members[@]/%//posteriors_$set}" --how "$how" \
      --out "exp/${model}_$how/posteriors_$set"
  done
done
decode_sets "$first" none none
for n in "${order[@]}"; do
  decode_sets "$first" "${n}gram" "exp/lm/${n}gram.arpa"
done
for folder in "${members[@]:1}" "exp/${model}_mean" "exp/${model}_product"; do
  decode_sets "$folder" "$last" "exp/lm/$last.arpa"
done
for set in dev test; do
  voted=exp/${model}_rover/decode_${set}_$last
  run 6 "vote on $set" \
    keraldi combine "${members[@]/%//decode_${set}_$last}" --how rover --out "$voted"
  run 6 "score $set of votes" keraldi score "data/$set" "$voted" --lang data/lang
done
for n in "${order[@]}"; do
  compare "$first/decode_test_none" "$first/decode_test_${n}gram" "none-${n}gram"
done
for how in mean product rover; do
  for s in "${seed[@]}"; do
    compare "exp/${model}_seed$s/decode_test_$last" "exp/${model}_$how/decode_test_$last" "seed$s-$how"
  done
done
show 8 "comparisons" print_comparisons
show 9 "results" write_results
