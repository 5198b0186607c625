#!/bin/sh
# System packages that bare Debian lacks: scripts/system.sh [browser]
# As root on Debian they are installed; otherwise the command to type is printed where something cannot do without.
set -eu
cd "$(dirname "$0")/.."
want=${1:-}

.venv/bin/python -m apps.core.runtime.checks --install

if [ "$want" = browser ] && ! command -v chromium >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing chromium for the browser tests" >&2
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } </dev/null ||
      echo "warning: chromium could not be installed; the browser tests will be skipped" >&2
  else
    echo "warning: no chromium here; the browser tests will be skipped (sudo apt-get install chromium)" >&2
  fi
fi
