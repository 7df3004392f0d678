#!/usr/bin/env bash
# The embedded corpus from nothing to a table of phoneme error rates.
#
#   recipes/mini/run.sh [--stage 1] [--stop-stage 10] [--nj 2] [--cmd utils/local.sh]
#                       [--quick] [--models "ff blstmp"] [--seed 1]
set -euo pipefail
cd "$(dirname "$0")"

stage=1
stop_stage=10
nj=2
cmd=
quick=false
models=
seed=1
options=(stage stop_stage nj cmd quick models seed)
# shellcheck source=../utils/parse_options.sh
source ../utils/parse_options.sh
check_whole_number seed
# shellcheck disable=SC2086  # names of models have no spaces
check_configurations models $models
# shellcheck source=../path.sh
source ../path.sh
# shellcheck source=../cmd.sh
source ../cmd.sh
# shellcheck source=../utils/stages.sh
source ../utils/stages.sh
# shellcheck source=../utils/experiment.sh
source ../utils/experiment.sh
set_up mini

size=()
if [[ $quick == true ]]; then
  size=(--quick)
  models=${models:-ff blstmp}
fi
models=${models:-ff blstmp bgru}

run 1 "make the corpus" keraldi prepare mini --out data ${size[@]+"${size[@]}"}
check_and_extract
train_lm
label_by_times
# shellcheck disable=SC2086  # names of models have no spaces
train_decode_score $models
show 9 "results" write_results
# shellcheck disable=SC2086  # names of models have no spaces
run_reports 10 $models
