# shellcheck shell=bash
# Sourced by every recipe: the environment that the stages run in.
#
# An active environment (venv or conda) is used as it is; without one, .venv is made at the
# root of the project, once, and again whenever setup.cfg changes.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LC_ALL=C
export PYTHONUTF8=1

# Prints the first Python of at least 3.11 that can make environments.
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
      >/dev/null 2>&1; then
      command -v "$candidate"
      return 0
    fi
  done
  echo "path.sh: no Python 3.11 or newer with venv and pip found; install one, or name it: PYTHON=/path/to/python3.12 $0" >&2
  return 1
}

# Prints what is left on the disk of a folder.
free_space() {
  df -Ph "$1" 2>/dev/null | awk -v folder="$1" 'NR == 2 { print $4 " free in " folder }'
}

# Installs the project with what is in the list of extras; leaves a mark when all is done.
install_project() {
  local environment=$1 extras=$2 mark=$1/.keraldi-${2:-plain}
  local wanted
  wanted=$(cksum <"$root/setup.cfg")
  if [[ -f $mark && $(<"$mark") == "$wanted" ]]; then
    return 0
  fi
  echo "path.sh: installing Keraldi and what it needs into $environment (minutes, once)" >&2
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
    -c "$root/recipes/constraints.txt" -e "${root}${extras:+[$extras]}" >&2 || {
    echo "path.sh: pip could not install the project; see its message above (it needs about 4 GB: $(free_space "$root"), $(free_space "${TMPDIR:-/tmp}"))" >&2
    return 1
  }
  printf '%s\n' "$wanted" >"$mark"
}

# Makes the stages available; $1 names the extras (mini, test, …) that the caller needs, or is empty.
set_up() {
  local extras=$1 active=${VIRTUAL_ENV:-${CONDA_PREFIX:-}}
  if [[ -n $active ]]; then
    if ! command -v keraldi >/dev/null; then
      echo "path.sh: the active environment $active has no Keraldi; run: pip install -e '${root}${extras:+[$extras]}', or deactivate it" >&2
      return 1
    fi
    return 0
  fi
  if [[ ! -x $root/.venv/bin/python ]]; then
    local python
    python=$(find_python) || return 1
    rm -rf "$root/.venv" || return 1
    "$python" -m venv "$root/.venv" || {
      echo "path.sh: $python could not make $root/.venv; see its message above" >&2
      return 1
    }
  fi
  install_project "$root/.venv" "$extras" || return 1
  export PATH=$root/.venv/bin:$PATH
}
