#!/usr/bin/env bash
# The main job, end to end, in a temporary directory: start a log, sign a file and log it, look at the answer, verify
# it offline, see forgeries fail, and read everything back the way an auditor does.
set -euo pipefail
cd "$(dirname "$0")/.."

bin="$PWD/target/debug"
[ -z "${CARGO_TARGET_DIR:-}" ] || bin=$(realpath "$CARGO_TARGET_DIR")/debug
work=$(mktemp -d "${TMPDIR:-/tmp}/cairn-demo.XXXXXX")
server=""
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
# Prints a command without its long paths, then runs it.
show() {
  local line="$*"
  line=${line//$bin\//}
  printf '  $ %s\n' "${line//$work\//}"
  "$@" | sed "s|$work/||g; s/^/    /"
}

# Runs a command that has to fail because something was forged.
refused() {
  local what=$1 status=0
  shift
  "$@" >"$work/out" 2>&1 || status=$?
  if [ "$status" -ne 1 ]; then
    printf 'demo: %s was not refused (status %d)\n' "$what" "$status" >&2
    cat "$work/out" >&2
    exit 1
  fi
  printf '  refused: %s\n    %s\n' "$what" "$(tail -n 1 "$work/out")"
}

# Waits until the server says where it listens.
url=""
start() {
  "$bin/cairn-server" serve --data-dir "$work/data" --listen 127.0.0.1:0 --admin 127.0.0.1:0 2>"$work/log" &
  server=$!
  for _ in $(seq 100); do
    port=$(sed -n 's/.*serving.* listen="\{0,1\}127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/log")
    if [ -n "$port" ]; then url="http://localhost:$port"; return; fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  echo "demo: the server did not start" >&2
  cat "$work/log" >&2
  exit 1
}

say "1. Make a log and serve it"
show "$bin/cairn-server" init --data-dir "$work/data" --hostname localhost
start
echo "  serving at $url"

say "2. Make a key, sign a real file (this repository's LICENSE), log the signature"
cp LICENSE "$work/file"
show "$bin/cairn" keygen --out "$work/key"
show "$bin/cairn" trust export --url "$url" --out "$work/trust"
for other in README.md Makefile; do
  show "$bin/cairn" submit --url "$url" --key "$work/key" --bundle "$work/$other.bundle" "$other"
done
show "$bin/cairn" submit --url "$url" --key "$work/key" --log-vkey "$work/trust/rekor-v2.vkey" \
  --bundle "$work/bundle.json" --tlog-proof "$work/proof" "$work/file"

say "3. The log's answer, as it stays verifiable for ever"
sed 's/^/    /' "$work/proof" | cut -c1-110

say "4. Verify it offline: the server is stopped"
kill "$server" && wait "$server" || true
server=""
show "$bin/cairn" verify --bundle "$work/bundle.json" --trusted-root "$work/trust/trusted_root.json" \
  --key "$work/key.pub" "$work/file"

say "5. Forgeries"
verify=("$bin/cairn" verify --trusted-root "$work/trust/trusted_root.json" --key "$work/key.pub")
{ cat "$work/file"; echo "one more line"; } >"$work/changed-file"
refused "a changed file" "${verify[@]}" --bundle "$work/bundle.json" "$work/changed-file"
# Another index, as a log would have to claim that moved the entry.
sed 's/"logIndex": *"2"/"logIndex":"1"/g' "$work/bundle.json" >"$work/changed-bundle.json"
cmp -s "$work/bundle.json" "$work/changed-bundle.json" && { echo "demo: the bundle was not changed" >&2; exit 1; }
refused "a changed bundle" "${verify[@]}" --bundle "$work/changed-bundle.json" "$work/file"

say "6. The log again, after a restart: read the entry back through the tiles, recompute the whole tree"
start
show "$bin/cairn" get --url "$url" --log-vkey "$work/trust/rekor-v2.vkey" 2
show "$bin/cairn" fsck --url "$url" --log-vkey "$work/trust/rekor-v2.vkey"
kill "$server" && wait "$server" || true
server=""
show "$bin/cairn-server" fsck --data-dir "$work/data"

say "Done: entries logged, and verified by nothing but public bytes; nothing is left behind."
