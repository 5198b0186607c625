#!/bin/sh
# Make .venv with the pinned packages of one list: scripts/bootstrap.sh local|dev|base
# Does nothing when that was done before and the list has not changed since.
set -eu
cd "$(dirname "$0")/.."
list=${1:?which list of requirements/: local, dev or base}
venv=.venv

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
is_root_on_debian() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }
apt_install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null </dev/null; }
checksum() { # without sha256sum on some systems, hence python
  "$venv/bin/python" -c 'import hashlib,sys;print(hashlib.sha256(b"".join(open(f,"rb").read() for f in sys.argv[1:])).hexdigest())' "$@"
}
new_enough() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1; }

find_python() {
  for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if command -v "$name" >/dev/null 2>&1 && new_enough "$name"; then command -v "$name"; return 0; fi
  done
  return 1
}

make_venv() {
  if [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv" 2>/dev/null)" ]; then
    die "$venv exists but is no virtualenv; move it away and start again"
  fi
  [ ! -e "$venv" ] || say "the virtualenv $venv is not complete; making it anew"
  python=$(find_python) || die "Python 3.11, 3.12 or 3.13 is needed (found: $(python3 --version 2>&1 || true)). On Debian 12: apt-get install python3 python3-venv"
  rm -rf "$venv"
  say "making $venv with $("$python" --version)"
  if ! "$python" -m venv "$venv" >"$venv.log" 2>&1; then
    if is_root_on_debian; then
      say "installing python3-venv"
      { apt-get update -qq && apt_install python3-venv ca-certificates; } || die "python3-venv could not be installed"
      rm -rf "$venv"
      "$python" -m venv "$venv" >"$venv.log" 2>&1 || { cat "$venv.log" >&2; die "the virtualenv could not be made"; }
    else
      cat "$venv.log" >&2
      die "the virtualenv could not be made. On Debian or Ubuntu type: sudo apt-get install -y python3-venv"
    fi
  fi
  rm -f "$venv.log"
}

venv_works() {
  [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1
}

complete() { # a complete dev list contains the local one, and that the base one
  for other in "$list" dev $([ "$list" = base ] && echo local); do
    marker="$venv/.complete-$other"
    [ -f "$marker" ] && [ "$(cat "$marker")" = "$(checksum "requirements/$other.txt")" ] && return 0
  done
  return 1
}

install() {
  pip="$venv/bin/python -m pip"
  say "installing the packages of requirements/$list.txt"
  started=$(date +%s)
  if [ ! -x "$venv/bin/uv" ]; then
    $pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt ||
      say "the fast installer is not to be had; going on with pip"
  fi
  if ! { [ -x "$venv/bin/uv" ] && "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r "requirements/$list.txt"; }; then
    [ ! -x "$venv/bin/uv" ] || say "trying again with pip"
    $pip install --quiet --disable-pip-version-check --require-hashes -r "requirements/$list.txt" ||
      die "the packages could not be installed; see above (is there a network, and space on the disk?)"
  fi
  checksum "requirements/$list.txt" >"$venv/.complete-$list"
  say "installed in $(($(date +%s) - started)) s"
}

venv_works || make_venv
complete || install
