# shellcheck shell=bash disable=SC2034
# How stages are run: the words before `LOG COMMAND…`. A recipe's --cmd takes the place of it.
#
#   utils/local.sh                              on this machine (the default)
#   utils/slurm.sh --mem=16G --cpus-per-task=4  with srun, its options as given
#   utils/sge.sh -q all.q -pe smp 4             with qsub, its options as given
cmd=${cmd:-$root/recipes/utils/local.sh}
