#!/usr/bin/env bash
# Install missing programs and print a line per step. `setup.sh run` installs what a run needs, `setup.sh develop` also
# what lint and tests need, `setup.sh sbom` what `make sbom` needs. Without missing programs it takes 50 ms.
# .local/setup.log has the output of the installers.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$PWD/.local/setup.log
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}

fault() { echo "error: $1" >&2; exit 3; }

has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() { # print the path of the first Python of at least 3.11, preferring PYTHON, then python3
  local name
  for name in ${PYTHON:-} python3 python3.11 python3.12 python3.13 python3.14; do
    "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$name"; return; }
  done
  fault "Python (none of 3.11 or newer found); every program needs it; install it or set PYTHON=/path/to/python3"
}

has_postgresql() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null; }

missing_packages() { # run | develop
  command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || echo ffmpeg
  command -v prometheus >/dev/null && command -v promtool >/dev/null || echo prometheus
  command -v redis-server >/dev/null || echo redis-server
  [ "$1" = run ] || has_postgresql || echo postgresql
  [ -x .venv/bin/python ] || has_venv "$python" || echo "$(basename "$(readlink -f "$python")")-venv"
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

restore_services() { [ -z "${forbade:-}" ] || as_root rm -f "$policy"; }

forbid_services() { # Debian starts installed services; the stack starts its own ones on other ports
  [ ! -e "$policy" ] || return 0
  forbade=yes
  trap restore_services EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}

keep_disabled() { # the services do not start at the next boot either
  [ -d /run/systemd/system ] || return 0
  case " $* " in *" prometheus "*) as_root systemctl disable -q prometheus || true ;; esac
  case " $* " in *" redis-server "*) as_root systemctl disable -q redis-server || true ;; esac
  case " $* " in *" postgresql "*) as_root systemctl disable -q postgresql || true ;; esac
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@"; }

install_packages() {
  local remedy="sudo apt-get install --no-install-recommends $*"
  command -v apt-get >/dev/null || fault "programs (of Debian's packages $*); they are missing and this is not Debian or Ubuntu; install them your way"
  as_root true 2>/dev/null || fault "system packages ($*); they are missing and this user may not install them; $remedy"
  echo "installing system packages: $*"
  forbid_services
  { apt_get update && apt_get install -y --no-install-recommends "$@" && keep_disabled "$@"; } >>"$log" 2>&1 </dev/null ||
    fault "system packages ($*); apt-get failed, see .local/setup.log; $remedy"
}

is_installed() { # FOLDER LOCK: true if the environment was installed from this version of the lock file
  [ -x "$1/bin/python" ] && cmp -s "$2" "$1/.$(basename "$2")"
}

install_environment() { # FOLDER LOCK WHAT
  is_installed "$1" "$2" && return
  echo "installing $3 into $1"
  # an installation that was interrupted leaves an environment without pip
  "$1/bin/python" -c 'import pip' 2>/dev/null || "$python" -m venv --clear "$1" >>"$log" 2>&1 ||
    fault "virtual environment ($1); Python could not make it, see .local/setup.log; install python3-venv"
  PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 "$1/bin/python" -m pip install -q --require-hashes --only-binary :all: \
    -r "$2" >>"$log" 2>&1 </dev/null || fault "Python packages ($2); pip failed, see .local/setup.log; check the network"
  cp "$2" "$1/.$(basename "$2")"
}

install_sbom_tool() { # no run and no test needs it
  mkdir -p .local .tools
  python=$(find_python)
  install_environment .tools/sbom requirements/sbom.txt "the tool that writes bills of materials"
}

main() {
  mkdir -p .local .tools
  exec 9>.local/setup.lock
  if command -v flock >/dev/null; then flock 9; fi # with two calls of make, the second waits and has nothing to do
  python=$(find_python)
  local packages
  packages=$(missing_packages "$1")
  # shellcheck disable=SC2086 # one word per package
  [ -z "$packages" ] || install_packages $packages
  # the development lock holds every package of the run lock, in the same versions
  if [ "$1" = develop ] || ! is_installed .venv requirements/dev.txt; then
    if [ "$1" = develop ]; then install_environment .venv requirements/dev.txt "programs and checks"
    else install_environment .venv requirements/app.txt "programs"; fi
  fi
  install_environment .tools/emulator requirements/emulator.txt "the AWS emulator"
  install_environment .tools/celery-exporter requirements/celery-exporter.txt "celery-exporter"
}

if [ "${1:-}" = sbom ]; then install_sbom_tool; else main "${1:-run}"; fi
