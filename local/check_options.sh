#!/usr/bin/env bash
# Refuse words and options of a `make` command line that its verbs do not use: check_options.sh VERB…
# GIVEN_OPTIONS holds the names of the variables on the command line. Variables of the environment may be there for other
# programs, so for those a line is printed only for a measuring verb and a name that looks like an option.
set -euo pipefail
cd "$(dirname "$0")/.."

RUN="SIZE COUNT RATE SHAPE SEED TRACE CONCURRENCY FILE USER_ID PROFILE RUN_ID NOTE WARMUP STACK WORKERS APP YES"
MATRIX="SIZES MODES REPEATS LEVELS ADAPTIVE ARRIVALS COUNT RATE SHAPE SEED CONCURRENCY USER_ID PROFILE WARMUP STACK WORKERS APP YES ARGS"

options_of() { # options_of VERB: print its options
  case $1 in
    run-burst | run-sustained) echo "$RUN" ;;
    matrix) echo "$MATRIX" ;;
    search) echo "SIZE SEED CONCURRENCY USER_ID PROFILE STACK WORKERS APP YES ARGS" ;;
    history) echo "SIZE CONCURRENCY RATE WORKERS STACK APP ARGS" ;;
    import) echo "SIZE CONCURRENCY RATE WORKERS STACK APP ARGS" ;;
    up) echo "CONCURRENCY PROFILE STACK WORKERS APP" ;;
    doctor) echo "USER_ID STACK APP YES ARGS" ;;
    clean) echo "STACK APP YES ARGS" ;;
    table | report | document | compare | plan | audit | usl | logs | import-executions) echo "STACK APP ARGS" ;;
    down | status | setup) echo "STACK APP" ;;
    chaos) echo "SEEDS ARGS" ;;
    bundle | app-file | fuzz | advisories) echo "ARGS" ;;
  esac
}

has_app() { [ -n "${AFORO_APP_FILE:-}" ] || grep -qE '^(export )?AFORO_APP_FILE=.' .env 2>/dev/null; }

# The reference worker has several nodes only in containers. An app starts its own.
has_several_workers() { [ "${STACK:-}" = compose ] || has_app; }

# `history` only reads the records of runs, so there WORKERS needs no stack that has several workers.
starts_workers() {
  local verb
  for verb in $verbs; do
    [ "$verb" = history ] || ! is_among WORKERS "$(options_of "$verb")" || return 0
  done
  return 1
}

fault() { # fault WHAT NAME WHY REMEDY
  local name=$2
  [[ $name =~ ^[[:print:]]{1,80}$ ]] || name=$(printf '%.80q' "$name")
  echo "error: $1 ($name); $3; $4" >&2
  exit 2
}

refuse() { fault option "$@"; }

is_verb() { [[ $1 =~ ^[a-z][a-z-]*$ ]] && grep -qE "^([a-z-]+ )*$1( [a-z-]+)*:" Makefile; }

verbs_that_begin_with() {
  awk -F: -v start="$1" '/^[a-z-]+:.*## / && index($1, start) == 1 {printf "%smake %s", n++ ? ", " : "", $1}' Makefile
}

check_verb() { # check_verb WORD
  local similar
  is_verb "$1" && return
  similar=$([[ ! $1 =~ ^[a-z-]+$ ]] || verbs_that_begin_with "$1")
  fault verb "$1" "there is none of that name" "${similar:+use $similar; }write an option as NAME=value, see \`make help\`"
}

is_among() { [[ " $2 " == *" $1 "* ]]; }

is_setting() { # settings and the variables of compose are in .env.example; boto3 reads other AWS_ variables itself
  [[ $1 =~ ^[A-Z][A-Z0-9_]*$ ]] && { [[ $1 == AWS_* ]] || grep -qE "^# ?$1=" .env.example; }
}

# The number of letters to insert, delete, replace or swap between two words, by the optimal string alignment distance.
distance() {
  local a=$1 b=$2 i j least cost
  local -A d
  for ((i = 0; i <= ${#a}; i++)); do d[$i,0]=$i; done
  for ((j = 0; j <= ${#b}; j++)); do d[0,$j]=$j; done
  for ((i = 1; i <= ${#a}; i++)); do
    for ((j = 1; j <= ${#b}; j++)); do
      [ "${a:i-1:1}" = "${b:j-1:1}" ] && cost=0 || cost=1
      least=$((d[$((i - 1)),$j] + 1))
      ((d[$i,$((j - 1))] + 1 >= least)) || least=$((d[$i,$((j - 1))] + 1))
      ((d[$((i - 1)),$((j - 1))] + cost >= least)) || least=$((d[$((i - 1)),$((j - 1))] + cost))
      if ((i > 1 && j > 1)) && [ "${a:i-1:1}${a:i-2:1}" = "${b:j-2:1}${b:j-1:1}" ]; then
        ((d[$((i - 2)),$((j - 2))] + 1 >= least)) || least=$((d[$((i - 2)),$((j - 2))] + 1))
      fi
      d[$i,$j]=$least
    done
  done
  echo "${d[${#a},${#b}]}"
}

similar() { # similar NAME NAMES SHORTEST: print the first of NAMES, of SHORTEST letters or more, that NAME may misspell
  local upper=${1^^} name most longer
  [ ${#upper} -le 20 ] || return 0
  for name in $2; do [ "$upper" != "$name" ] || { echo "$name"; return; }; done
  for name in $2; do
    most=$((${#name} < 8 ? 1 : 2)) longer=$((${#upper} - ${#name}))
    [ ${#name} -lt $3 ] || [ ${longer#-} -gt $most ] || [ "$(distance "$upper" "$name")" -gt $most ] ||
      { echo "$name"; return; }
  done
}

check_name() { # check_name NAME: of the command line
  local guess
  if is_among "$1" "$allowed"; then
    [ "$1" != WORKERS ] || has_several_workers || ! starts_workers ||
      refuse WORKERS "only STACK=compose or an APP has several workers" "leave it out, or add STACK=compose"
    return
  fi
  is_setting "$1" && return
  case "$1 $verbs" in
    "SHAPE search") refuse SHAPE "the highest stable rate is the same for every load shape" \
      "leave it out, then measure that rate by \`make run-sustained SHAPE=…\`" ;;
    "TRACE matrix" | "TRACE search") refuse TRACE "a trace has the arrivals of one run, not those of every rate" \
      "leave it out, or use \`make run-sustained\`" ;;
  esac
  guess=$(similar "$1" "$allowed" 4)
  if is_among "$1" "$RUN $MATRIX"; then
    refuse "$1" "\`make $verbs\` does not use it" "leave it out; it uses ${allowed:-no option}"
  fi
  refuse "$1" "it is neither an option of \`make $verbs\` nor a setting" \
    "${guess:+did you mean $guess? }see \`make help\` and .env.example"
}

note_environment() { # an unused option in the environment is not an error, but it may be meant
  local name guess
  for name in $(compgen -e); do
    if [ "$name" = WORKERS ] && ! has_several_workers && ! is_among WORKERS "$GIVEN_OPTIONS"; then
      echo "note: WORKERS of the environment is not used; only STACK=compose or an APP has several workers" >&2
    elif ! is_among "$name" "$allowed $RUN $MATRIX GIVEN_OPTIONS" && ! is_setting "$name"; then
      guess=$(similar "$name" "$allowed" 5)
      [ -z "$guess" ] || echo "note: $name of the environment is not used; did you mean $guess?" >&2
    fi
  done
}

verbs="$*"
allowed=
for verb in "$@"; do check_verb "$verb"; done
for verb in "$@"; do allowed+="${allowed:+ }$(options_of "$verb")"; done
for name in $GIVEN_OPTIONS; do check_name "$name"; done
case " $verbs " in *" run-burst "* | *" run-sustained "* | *" matrix "* | *" search "* | *" up "*) note_environment ;; esac
