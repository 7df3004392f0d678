# shellcheck shell=bash disable=SC2154
# Sourced by a recipe after its options are read and cmd.sh: `run N "title" COMMAND…` is one stage.
#
# Stages outside --stage … --stop-stage are passed over. A stage's output goes to
# exp/log/NN-title.log; the terminal shows its last line, or on failure its last lines.

# --cmd is a command with its options; utils/… are the project's own.
read -ra runner <<<"$cmd"
if [[ ${runner[0]} == utils/* ]]; then
  runner[0]=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/${runner[0]}
fi
type -P "${runner[0]}" >/dev/null ||
  option_error "--cmd: no command '${runner[0]}' that can be run; see recipes/cmd.sh"

run() {
  local number=$1 title=$2
  shift 2
  if ((number < stage || number > stop_stage)); then
    return 0
  fi
  local log began
  log=$(printf 'exp/log/%02d-%s.log' "$number" "${title//[^A-Za-z0-9.]/-}")
  mkdir -p exp/log
  : >"$log" # what an earlier run left must not be taken for this one's
  echo "stage $number: $title ($log)"
  began=$SECONDS
  local status=0
  "${runner[@]}" "$log" "$@" || status=$?
  if ((status)) && [[ ! -s $log ]]; then
    echo "$(basename "$PWD")/run.sh: stage $number ($title) failed with status $status and no word in $log; is --cmd '$cmd' right?" >&2
    exit "$status"
  elif ((status)); then
    echo "$(basename "$PWD")/run.sh: stage $number ($title) failed; the end of $log:" >&2
    grep -v '^# ' "$log" | tail -n 15 | sed 's/^/  /' >&2
    exit "$status"
  fi
  { grep -v '^# ' "$log" || true; } | tail -n 1 | sed 's/^/  /' # a stage may print nothing
  echo "  $((SECONDS - began)) s"
}

# Makes exp/MODEL/report.html of every model named, the others beside it.
run_reports() {
  local number=$1 model other others
  shift
  for model in "$@"; do
    others=()
    for other in "$@"; do
      [[ $other == "$model" ]] || others+=("exp/$other")
    done
    run "$number" "report on $model" \
      keraldi report "exp/$model" ${others[@]+"${others[@]}"} --lang data/lang
  done
}

# Shows a stage's output on the terminal: the table at the end of a recipe.
show() {
  local number=$1 title=$2
  shift 2
  if ((number < stage || number > stop_stage)); then
    return 0
  fi
  echo "stage $number: $title"
  "$@"
}

# Prints the table of PERs, and keeps it as exp/RESULTS with its circumstances:
# the RESULTS that stands beside run.sh is what we measured.
write_results() {
  local table
  table=$(keraldi results exp) || return 1
  {
    echo "commit: $(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)"
    echo "date: $(date '+%Y-%m-%d'), $(uname -sm), $(getconf _NPROCESSORS_ONLN) cores, seed ${seed:-1}"
    printf '%s\n' "$table"
  } >exp/RESULTS
  printf '%s\n(kept in %s)\n' "$table" "$PWD/exp/RESULTS"
}
