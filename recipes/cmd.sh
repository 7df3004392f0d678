# shellcheck shell=bash disable=SC2034
# How stages are run: the words before `LOG COMMAND…`. A recipe's --cmd takes the place of it.
#
#   utils/local.sh                              on this machine (the default)
#   utils/slurm.sh --mem=16G --cpus-per-task=4  with srun, its options as given
#   utils/sge.sh -q all.q -pe smp 4             with qsub, its options as given
#
# Within a stage, extract, decode, transcribe and score-corpus share their work among processes:
# --nj N on this machine, --scheduler ADDRESS with the workers of a running dask scheduler. Workers
# from Slurm or SGE (dask-jobqueue; a shared disk), in a shell of their own:
#
#   keraldi cluster slurm exp/scheduler --jobs 20 --cores 2 --memory 4GB --queue cpu
#   keraldi cluster sge exp/scheduler --jobs 20 --queue all.q
#   keraldi transcribe /audio --model exp/blstmp --out results --scheduler "$(cat exp/scheduler)"
cmd=${cmd:-utils/local.sh}
