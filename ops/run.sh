#!/usr/bin/env bash
# Serves a log from out/run until Ctrl-C, for trying things out. The log is kept: the next run goes on with it.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${CARGO_TARGET_DIR:-target}/release
data=out/run
listen=${LISTEN:-127.0.0.1:3000}
# Clients compare the host of this URL with the log's origin.
url=http://localhost:${listen##*:}

if [ ! -f "$data/cairn.toml" ]; then
  mkdir -p "$(dirname "$data")"
  "$bin/cairn-server" init --data-dir "$data" --hostname localhost
fi
cat <<TEXT

A log is about to be served on $url (data: $data, Ctrl-C stops it). In another terminal:

  $bin/cairn trust export --url $url --out out/trust
  $bin/cairn keygen --out out/key
  $bin/cairn submit --url $url --key out/key README.md --bundle out/README.bundle
  $bin/cairn verify --bundle out/README.bundle --trusted-root out/trust/trusted_root.json --key out/key.pub README.md
  curl $url/checkpoint

TEXT
exec "$bin/cairn-server" serve --data-dir "$data" --listen "$listen"
