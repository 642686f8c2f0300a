#!/usr/bin/env bash
# Serves a log from out/run until Ctrl-C, for trying things out. The log is kept: the next run goes on with it.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${CARGO_TARGET_DIR:-target}/release
data=out/run
listen=${LISTEN:-127.0.0.1:3000}

if [ ! -f "$data/cairn.toml" ]; then
  mkdir -p "$(dirname "$data")"
  "$bin/cairn-server" init --data-dir "$data" --hostname localhost
fi
cat <<TEXT

A log is about to be served on http://$listen (data: $data, Ctrl-C stops it). In another terminal:

  $bin/cairn trust export --url http://$listen --out out/trust
  $bin/cairn keygen --help
  $bin/cairn submit --url http://$listen --key KEY FILE --bundle FILE.bundle
  $bin/cairn verify --bundle FILE.bundle --trusted-root out/trust/trusted_root.json --key PUB FILE
  curl http://$listen/checkpoint

TEXT
exec "$bin/cairn-server" serve --data-dir "$data" --listen "$listen"
