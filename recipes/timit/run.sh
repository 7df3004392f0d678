#!/usr/bin/env bash
# TIMIT: 3,696 training utterances, 50-speaker dev set, 24-speaker core test; 61 -> 48 -> 39 phones.
#
#   recipes/timit/run.sh --timit DIR [--models "ff blstmp"] [--stage 1] [--stop-stage 10]
#                        [--nj 2] [--cmd utils/local.sh] [--complete-test] [--seed 1]
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"

stage=1
stop_stage=10
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
# shellcheck disable=SC2086  # names of models have no spaces
check_configurations models $models
check_corpus timit "LDC93S1, see README.md"
# shellcheck source=../path.sh
source ../path.sh
# shellcheck source=../cmd.sh
source ../cmd.sh
# shellcheck source=../utils/stages.sh
source ../utils/stages.sh
# shellcheck source=../utils/experiment.sh
source ../utils/experiment.sh
set_up ""

part=()
if [[ $complete_test == true ]]; then
  part=(--complete-test)
fi

run 1 "prepare data and lang" \
  keraldi prepare timit "$timit" --out data ${part[@]+"${part[@]}"}
check_and_extract
train_lm
label_by_times
# shellcheck disable=SC2086  # names of models have no spaces
train_decode_score $models
show 9 "results" write_results
# shellcheck disable=SC2086  # names of models have no spaces
run_reports 10 $models
