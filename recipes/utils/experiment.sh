# shellcheck shell=bash disable=SC2154
# Sourced by a recipe after its options are read: the stages that all corpora share, by their
# number. They read and write data/ and exp/ in the recipe's folder.

train_set=train # what networks learn from: data/$train_set, labelled in exp/ali_$train_set

# Stages 2 and 3: checks the data dirs and makes their features.
check_and_extract() {
  local set
  for set in train dev test; do
    run 2 "check data of $set" \
      keraldi validate "data/$set" --lang data/lang --train data/train
  done
  for set in train dev test; do
    run 3 "extract features of $set" \
      keraldi extract "data/$set" --config conf/features.yaml --nj "$nj"
  done
}

# Stage 4: learns which phones follow which.
train_lm() {
  run 4 "train the phone trigram" \
    keraldi lm data/train data/lang/lm.arpa --lang data/lang --order 3 --smoothing kneser-ney
}

# Stage 5, where the corpus gives times: labels every frame by them.
label_by_times() {
  local set
  for set in train dev; do
    run 5 "label the frames of $set" keraldi align "data/$set" "exp/ali_$set" --lang data/lang
  done
}

# Stage 5, where it does not: labels train from a flat start, dev with the last of its networks.
label_from_flat_start() {
  run 5 "align train from a flat start" \
    keraldi align data/train exp/ali_train --lang data/lang --flat conf/flat.yaml
  run 5 "align dev with the last network" \
    keraldi align data/dev exp/ali_dev --lang data/lang --model exp/ali_train/flat/last
}

# Stage 5, for more speech than was recorded: networks learn from train at three speeds, labelled
# by the last network of the flat start (Ko et al. 2015, Audio augmentation for speech recognition).
add_speeds() {
  run 5 "copy train at other speeds" keraldi data perturb data/train data/train_sp
  run 5 "extract features of train_sp" \
    keraldi extract data/train_sp --config conf/features.yaml --nj "$nj"
  run 5 "align train_sp with the last network" \
    keraldi align data/train_sp exp/ali_train_sp --lang data/lang --model exp/ali_train/flat/last
  train_set=train_sp
}

# Stages 6 to 8 for every model named: trains it; decodes dev with settings tuned there and test
# with the same settings; scores both. Posteriors are kept: the report shows some of them.
train_decode_score() {
  local model set
  for model in "$@"; do
    run 6 "train $model" \
      keraldi train --config "conf/$model.yaml" --data "data/$train_set" --dev data/dev \
      --lang data/lang --alignments "exp/ali_$train_set" --dev-alignments exp/ali_dev \
      --out "exp/$model" --seed "$seed"
  done
  for model in "$@"; do
    run 7 "decode dev with $model" \
      keraldi decode "exp/$model" data/dev "exp/$model/decode_dev" --lang data/lang --tune \
      --posteriors
    run 7 "decode test with $model" \
      keraldi decode "exp/$model" data/test "exp/$model/decode_test" --lang data/lang \
      --settings "exp/$model/decode_dev/settings.yaml" --posteriors
  done
  for model in "$@"; do
    for set in dev test; do
      run 8 "score $set of $model" \
        keraldi score "data/$set" "exp/$model/decode_$set" --lang data/lang
    done
  done
}
