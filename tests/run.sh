#!/usr/bin/env bash
# All checks: format, lint, types, shellcheck, tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=../recipes/path.sh
source recipes/path.sh
set_up test

check() {
  local name=$1 began=$SECONDS
  shift
  echo "== $name"
  "$@"
  echo "   $name: $((SECONDS - began)) s"
}

mapfile -t scripts < <(git ls-files -co --exclude-standard '*.sh' .ci/run)
style() {
  check "format" black --check --quiet features pipeline tests
  check "imports" isort --check-only --quiet features pipeline tests
  check "lint" flake8 features pipeline tests
}

style & # beside the others, on the second core
check "types" mypy
check "shell" shellcheck -x -P SCRIPTDIR "${scripts[@]}"
wait $!
# In the order that tests/conftest.py says: by the number of their tests slow files would come late.
check "tests" python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder "$@"
