#!/usr/bin/env bash
# Non-native English: flat start from transcripts without times, three speeds, one model,
# PER on 16 speakers.
#
#   recipes/speechocean762/run.sh --corpus DIR [--model blstmp] [--stage 1] [--stop-stage 10]
#                                 [--nj 2] [--cmd utils/local.sh] [--seed 1]
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")"

stage=1
stop_stage=10
nj=2
cmd=
corpus=
model=blstmp
seed=1
options=(stage stop_stage nj cmd corpus model seed)
# shellcheck source=../utils/parse_options.sh
source ../utils/parse_options.sh
check_whole_number seed
check_corpus corpus "OpenSLR 101, see README.md"
check_configurations model "$model"
# shellcheck source=../path.sh
source ../path.sh
# shellcheck source=../cmd.sh
source ../cmd.sh
# shellcheck source=../utils/stages.sh
source ../utils/stages.sh
# shellcheck source=../utils/experiment.sh
source ../utils/experiment.sh
set_up ""

run 1 "prepare data and lang" keraldi prepare speechocean762 "$corpus" --out data
check_and_extract
train_lm
label_from_flat_start
add_speeds
train_decode_score "$model"
show 9 "results" write_results
run_reports 10 "$model"
