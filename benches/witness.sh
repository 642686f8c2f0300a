#!/usr/bin/env bash
# Cairn's witness against litewitness, in turns on the same cores and the same disk: 100 logs, one request of each under
# way, everything durable. Then what a quorum of three witnesses costs a log. Needs a release build (make build) and Go,
# ssh-agent and python3 for litewitness; everything lives in a directory that is removed at the end.
#
#   benches/witness.sh [OPTION OF cairn-witness-bench adds ...]
set -euo pipefail
cd "$(dirname "$0")/.."

bin="$PWD/target/release"
[ -z "${CARGO_TARGET_DIR:-}" ] || bin=$(realpath "$CARGO_TARGET_DIR")/release
mkdir -p out/bench
work=$(mktemp -d out/bench/witness.XXXXXX)
work=$(realpath "$work")
# The path of a unix socket is short.
agent=$(mktemp -d /tmp/cairn-agent.XXXXXX)
pids=()
finish() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work" "$agent"
}
trap finish EXIT

litewitness=$(cd tests/interop && . ./install.sh && need_go && install_litewitness >&2 &&
  echo "$CACHE/bin/litewitness-$TORCHWOOD_VERSION")

"$bin/cairn-witness-bench" logs >"$work/logs"

# Starts a program in the background and waits until its log shows where it listens.
listening() {
  local log=$1 pattern=$2
  for _ in $(seq 100); do
    grep -q "$pattern" "$log" 2>/dev/null && return
    sleep 0.1
  done
  echo "witness.sh: nothing listens" >&2
  cat "$log" >&2
  exit 1
}

start_cairn() {
  local name=$1 address=$2
  shift 2
  "$bin/cairn-witness" init --data-dir "$work/$name" --name "$name.example" "$@" >/dev/null
  "$bin/cairn-witness" add-log --data-dir "$work/$name" --list "$work/logs" >/dev/null
  "$bin/cairn-witness" serve --data-dir "$work/$name" --listen "$address" --admin 127.0.0.1:0 2>"$work/$name.log" &
  pids+=($!)
  listening "$work/$name.log" serving
}

start_litewitness() {
  local address=$1 key
  ssh-keygen -q -t ed25519 -N '' -f "$work/key"
  ssh-agent -D -a "$agent/socket" >/dev/null &
  pids+=($!)
  listening_socket
  SSH_AUTH_SOCK=$agent/socket ssh-add -q "$work/key"
  key=$(ssh-keygen -lf "$work/key.pub" | cut -d' ' -f2)
  run() {
    "$litewitness" -db "$work/litewitness.db" -name witness.example/lite -ssh-agent "$agent/socket" -key "$key" \
      -listen "$address" 2>>"$work/litewitness.log" >&2 &
    pids+=($!)
    for _ in $(seq 100); do
      (exec 3<>"/dev/tcp/${address/:/\/}") 2>/dev/null && return
      sleep 0.1
    done
    echo "witness.sh: litewitness does not start" >&2
    cat "$work/litewitness.log" >&2
    exit 1
  }
  # The first start makes the tables.
  run
  kill "${pids[-1]}" && wait "${pids[-1]}" || true
  unset 'pids[-1]'
  python3 - "$work/logs" "$work/litewitness.db" <<'PY'
import sqlite3, sys
rows = sqlite3.connect(sys.argv[2])
for line in open(sys.argv[1]):
    if line.startswith("vkey "):
        vkey = line.split()[1]
        origin = vkey.split("+")[0]
        rows.execute("INSERT INTO log VALUES (?, 0, '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=')", (origin,))
        rows.execute("INSERT INTO key VALUES (?, ?)", (origin, vkey))
rows.commit()
PY
  run
}
listening_socket() {
  for _ in $(seq 50); do
    [ -S "$agent/socket" ] && return
    sleep 0.1
  done
  echo "witness.sh: ssh-agent does not start" >&2
  exit 1
}

lite=127.0.0.1:17380 ed25519=127.0.0.1:17381 both=127.0.0.1:17382
start_litewitness $lite
start_cairn cairn-ed25519 $ed25519 --ed25519-only
start_cairn cairn-both $both
status=0
"$bin/cairn-witness-bench" adds --target litewitness=$lite --target cairn-ed25519=$ed25519 --target cairn-both=$both "$@" ||
  status=$?
"$bin/cairn-witness-bench" quorum || status=$?
exit $status
