#!/usr/bin/env bash
# sge.sh [QSUB OPTIONS] LOG COMMAND…: runs a command with Grid Engine's qsub and waits for it.
# The options are those before the log, the first word that ends in .log.
set -euo pipefail

options=()
while (($#)) && [[ $1 != *.log ]]; do
  options+=("$1")
  shift
done
if (($# < 2)); then
  echo "sge.sh: expected options, a log that ends in .log, and a command" >&2
  exit 2
fi
exec qsub -sync y -b y -cwd -V -o "$1.qsub" -j y ${options[@]+"${options[@]}"} \
  "$(dirname "$0")/local.sh" "$@"
