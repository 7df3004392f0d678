#!/usr/bin/env bash
# slurm.sh [SRUN OPTIONS] LOG COMMAND…: runs a command with Slurm's srun and waits for it.
set -euo pipefail

options=()
while [[ ${1-} == -* ]]; do
  options+=("$1")
  shift
done
exec srun ${options[@]+"${options[@]}"} "$(dirname "$0")/local.sh" "$@"
