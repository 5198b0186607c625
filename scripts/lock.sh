#!/bin/sh
# Compile requirements/*.in to requirements/*.txt: one resolution for every supported Python, hashes, no addresses.
set -eu
cd "$(dirname "$0")/.."
compile() {
  name=$1
  shift
  echo "requirements/$name.txt"
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links ${UPGRADE:+--upgrade} \
    "$@" "requirements/$name.in" --output-file "requirements/$name.txt"
}
compile bootstrap
compile node
compile base
compile local -c requirements/base.txt
compile s3 -c requirements/base.txt
compile dev -c requirements/local.txt -c requirements/s3.txt
npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund --loglevel=error
