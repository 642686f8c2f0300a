# Starts and stops what a run talks to: one cairn-server with a rekor-v1, a rekor-v2 and a raw log,
# and the stand-in for certificate and timestamp authority. Sourced by checks.

PIDS=()

start_log() {
  local port admin services
  port=$(free_port)
  admin=$(free_port)
  URL=http://localhost:$port
  RAW_URL=$URL/logs/raw
  TRUST=$WORK/trust
  STANDIN=$WORK/standin
  mkdir -p "$STANDIN"

  "$CAIRN_BIN/cairn-server" init --data-dir "$WORK/data" --hostname localhost \
    >"$WORK/init.log" 2>&1 || give_up "cairn-server init failed" "$WORK/init.log"
  # The host and the number of the tree, which the log's keys do not name.
  V1_ORIGIN=$(sed -n 's/^origin = "\(.* - .*\)"/\1/p' "$WORK/data/cairn.toml")
  "$CAIRN_BIN/cairn-server" add-log --data-dir "$WORK/data" --name raw --personality raw \
    >"$WORK/init.log" 2>&1 || give_up "cairn-server add-log failed" "$WORK/init.log"
  "$CAIRN_BIN/cairn-server" serve --data-dir "$WORK/data" --listen "127.0.0.1:$port" \
    --admin "127.0.0.1:$admin" >"$WORK/server.log" 2>&1 &
  PIDS+=($!)
  "$BUILT/standin" --dir "$STANDIN" >"$WORK/standin.log" 2>&1 &
  PIDS+=($!)
  wait_for "the log" "$WORK/server.log" answers "$port" /readyz
  wait_for "the stand-in services" "$WORK/standin.log" test -s "$STANDIN/url"
  services=$(cat "$STANDIN/url")

  # One set of trust files for the log alone, one with the authorities around it.
  TRUST_LOG=$WORK/trust-log
  "$CAIRN_BIN/cairn" trust export --url "$URL" --out "$TRUST_LOG" >"$WORK/trust.log" 2>&1 ||
    give_up "cairn trust export failed" "$WORK/trust.log"
  "$CAIRN_BIN/cairn" trust export --url "$URL" --out "$TRUST" \
    --certificate-authority "$STANDIN/ca.pem" --certificate-authority-url "$services" \
    --ct-log "$STANDIN/ct.pub" \
    --timestamp-authority "$STANDIN/tsa.pem" --timestamp-url "$services/api/v1/timestamp" \
    --oidc-url "$services" >"$WORK/trust.log" 2>&1 ||
    give_up "cairn trust export failed" "$WORK/trust.log"
  TOKEN=$STANDIN/token.jwt
}

stop_log() {
  local pid
  for pid in ${PIDS[@]+"${PIDS[@]}"}; do kill "$pid" 2>/dev/null || true; done
  for pid in ${PIDS[@]+"${PIDS[@]}"}; do wait "$pid" 2>/dev/null || true; done
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# answers PORT PATH: whether a GET is answered with 200.
answers() {
  local status
  status=$({
    exec 3<>"/dev/tcp/127.0.0.1/$1" &&
      printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3 &&
      head -n 1 <&3
  } 2>/dev/null)
  [[ $status == *" 200 "* ]]
}

# wait_for WHAT LOG COMMAND...: until the command succeeds, 30 s at most.
wait_for() {
  local what=$1 log=$2 tries
  shift 2
  for ((tries = 0; tries < 300; tries++)); do
    if "$@"; then return; fi
    sleep 0.1
  done
  give_up "$what did not start" "$log"
}

give_up() {
  printf 'interop: %s\n' "$1" >&2
  tail -n 20 "$2" >&2
  exit 1
}
