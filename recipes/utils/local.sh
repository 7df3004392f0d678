#!/usr/bin/env bash
# local.sh LOG COMMAND…: runs a command here; the log holds it, its output, times and status.
set -uo pipefail

log=$1
shift
{
  printf '# command:'
  printf ' %q' "$@"
  printf '\n# started: %s\n' "$(date '+%Y-%m-%d %H:%M:%S')"
} >"$log" || exit 1
began=$SECONDS
"$@" >>"$log" 2>&1 </dev/null
status=$?
{
  printf '# ended: %s, %d s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$((SECONDS - began))"
  printf '# status: %d\n' "$status"
} >>"$log" || exit 1
exit "$status"
