# shellcheck shell=bash disable=SC2154
# Sourced by a recipe after it has given every option its default and named them in `options`:
#
#   stage=1 nj=2 options=(stage nj)
#   source ../utils/parse_options.sh
#
# Takes --nj 4 and --nj=4, --stop-stage and --stop_stage; --quick alone means --quick true. The
# default of stop_stage is the last stage there is. Recipes take options only, and no empty ones.

option_error() {
  echo "$(basename "$(dirname "$0")")/$(basename "$0"): $1" >&2
  exit 2
}

# Prints the option whose name shares most letters in place with $1.
nearest_option() {
  local name best=0 found='' letters index
  for name in "${options[@]}"; do
    letters=0
    for ((index = 0; index < ${#name}; index++)); do
      [[ ${1:index:1} == "${name:index:1}" ]] && letters=$((letters + 1))
    done
    if ((letters > best)); then
      best=$letters
      found=$name
    fi
  done
  printf '%s' "${found//_/-}"
}

is_option() {
  local name
  for name in "${options[@]}"; do
    [[ $name == "$1" ]] && return 0
  done
  return 1
}

print_usage() {
  local name
  echo "Usage: $0 [options]"
  for name in "${options[@]}"; do
    echo "  --${name//_/-} (default: ${!name:-none})"
  done
}

parse_options() {
  local word name
  while (($#)); do
    word=$1
    shift
    case $word in
      -h | --help)
        print_usage
        exit 0
        ;;
      --*) ;;
      *) option_error "unexpected argument '$word'; all are options (--help lists them)" ;;
    esac
    name=${word#--}
    name=${name%%=*}
    name=${name//-/_}
    is_option "$name" ||
      option_error "unknown option ${word%%=*}; did you mean --$(nearest_option "$name")? (--help lists all)"
    local default=${!name}
    if [[ $word == *=* ]]; then
      printf -v "$name" '%s' "${word#*=}"
    elif [[ $default == true || $default == false ]] && [[ ${1:---} == --* ]]; then
      printf -v "$name" true
    elif (($# == 0)) || [[ $1 == --* ]]; then
      option_error "option $word needs a value"
    else
      printf -v "$name" '%s' "$1"
      shift
    fi
    if [[ $default == true || $default == false ]] && [[ ${!name} != true && ${!name} != false ]]; then
      option_error "--${name//_/-}: expected true or false, got '${!name}'"
    fi
    [[ ${!name} == *[![:space:]]* ]] ||
      option_error "--${name//_/-}: expected a value, got '${!name}'; leave the option out for its default"
  done
}

# Numbers must be numbers before bash computes with them.
check_whole_number() {
  local name
  for name in "$@"; do
    [[ ${!name} =~ ^[0-9]+$ ]] ||
      option_error "--${name//_/-}: expected a whole number, got '${!name}'"
    printf -v "$name" '%d' "$((10#${!name}))" # 09 would be octal, and wrong
  done
}

# Checks that all of $2 … name a file conf/NAME.yaml; $1 is the option.
check_configurations() {
  local option=$1 name
  shift
  for name in "$@"; do
    [[ -f conf/$name.yaml ]] || option_error "--$option: no conf/$name.yaml"
  done
}

# Makes the folder that option $1 names absolute, seen from where the recipe was called; $2 says
# where to get it. Only the first stage reads it.
check_corpus() {
  local found
  if ((stage > 1)); then
    return 0
  fi
  [[ -n ${!1} ]] || option_error "give the corpus: --$1 DIR ($2)"
  found=$(cd "$called_from" && cd "${!1}" 2>/dev/null && pwd) ||
    option_error "--$1: no such folder from $called_from"
  printf -v "$1" '%s' "$found"
}

last_stage=$stop_stage
parse_options "$@"
check_whole_number stage stop_stage nj
((nj > 0)) || option_error "--nj: expected at least 1, got 0"
((stage <= last_stage)) || option_error "--stage $stage: the last stage is $last_stage"
((stage <= stop_stage)) || option_error "--stage $stage is behind --stop-stage $stop_stage"
