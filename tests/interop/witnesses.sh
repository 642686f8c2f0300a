# Witnesses, ours and litewitness, and the server whose logs publish only what these have cosigned.
# Sourced by checks.

# Process ids by name.
declare -A STARTED=()

# start NAME COMMAND... runs a server; what it says is in NAME.log.
start() {
  local name=$1
  shift
  "$@" >"$WORK/$name.log" 2>&1 &
  STARTED[$name]=$!
  PIDS+=($!)
}

# stop NAME ends a server, and comes back once it is gone.
stop() {
  kill "${STARTED[$1]}" 2>/dev/null || true
  wait "${STARTED[$1]}" 2>/dev/null || true
}

# make_witness DIR NAME [LOG-VKEY-FILE...]: our witness in $WORK/DIR, its keys in $WORK/DIR.vkeys,
# and the logs it is to know.
make_witness() {
  local dir=$WORK/$1 name=$2 file
  "$CAIRN_BIN/cairn-witness" init --data-dir "$dir" --name "$name" >"$dir.vkeys" 2>"$dir.log" ||
    give_up "cairn-witness init failed" "$dir.log"
  for file in "${@:3}"; do
    "$CAIRN_BIN/cairn-witness" add-log --data-dir "$dir" "$(cat "$file")" >"$dir.log" 2>&1 ||
      give_up "cairn-witness add-log failed" "$dir.log"
  done
}

# start_witness DIR PORT
start_witness() {
  start "$1" "$CAIRN_BIN/cairn-witness" serve --data-dir "$WORK/$1" \
    --listen "127.0.0.1:$2" --admin 127.0.0.1:0
  wait_for cairn-witness "$WORK/$1.log" answers "$2" /healthz
}

# vkey_of DIR TYPE: the key of our witness whose algorithm byte is TYPE, as two hexadecimal digits.
vkey_of() {
  local vkey key
  while read -r vkey; do
    key=${vkey#*+*+} # behind the name and the key id; base64 may hold a plus as well
    if [ "$(base64 -d <<<"$key" | head -c 1 | od -An -tx1)" = " $2" ]; then echo "$vkey"; fi
  done <"$WORK/$1.vkeys"
}

# make_litewitness: its key in an agent of its own, and its empty tables.
make_litewitness() {
  local dir=$WORK/litewitness
  mkdir "$dir"
  LITEWITNESS_PORT=$(free_port)
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$dir/key"
  start agent ssh-agent -D -a "$dir/agent"
  wait_for ssh-agent "$WORK/agent.log" test -S "$dir/agent"
  SSH_AUTH_SOCK=$dir/agent ssh-add -q "$dir/key" >"$WORK/agent.log" 2>&1 ||
    give_up "ssh-add failed" "$WORK/agent.log"
  start_litewitness
  LITEWITNESS_VKEY=$(sed -n 's/.* vkey="\{0,1\}\([^" ]*\).*/\1/p' "$WORK/litewitness.log")
}

start_litewitness() {
  local dir=$WORK/litewitness
  start litewitness "$LITEWITNESS" -db "$dir/db" -name litewitness.example/w \
    -ssh-agent "$dir/agent" -key "$(ssh-keygen -lf "$dir/key.pub" | cut -d' ' -f2)" \
    -listen "127.0.0.1:$LITEWITNESS_PORT"
  wait_for litewitness "$WORK/litewitness.log" answers "$LITEWITNESS_PORT" /
}

# seed_litewitness ORIGIN VKEY-FILE: it trusts that key, and has seen nothing of that log. Its own
# tool for this cannot be had as a package.
seed_litewitness() {
  python3 - "$WORK/litewitness/db" "$1" "$(cat "$2")" <<'PYTHON'
import base64, hashlib, sqlite3, sys

path, origin, vkey = sys.argv[1:]
empty = base64.b64encode(hashlib.sha256().digest()).decode()
with sqlite3.connect(path, timeout=10) as db:
    db.execute("REPLACE INTO log VALUES (?, 0, ?)", (origin, empty))
    db.execute("DELETE FROM key WHERE origin = ?", (origin,))
    db.execute("INSERT INTO key VALUES (?, ?)", (origin, vkey))
PYTHON
}

# The server under witnesses. Its rekor-v2 and rekor-v1 logs publish only what both our witness and
# litewitness have cosigned; its raw log, what two of three have, the third being one more of ours.
# It is made once a run. W_DIR is its data directory; beside it are, for each log, LOG.vkey and two
# policies: LOG.policy, as the log reads it, and LOG.ed25519, without the lines of our ML-DSA keys;
# and LOG.origin, if that is not the name of the key.
make_witnessed() {
  [ -z "${W_DIR-}" ] || return 0
  W_DIR=$WORK/witnessed
  W_PORT=$(free_port)
  W_URL=http://localhost:$W_PORT
  "$CAIRN_BIN/cairn-server" init --data-dir "$W_DIR" --hostname localhost \
    >"$WORK/rekor-v2.vkey" 2>"$WORK/init.log" ||
    give_up "cairn-server init failed" "$WORK/init.log"
  echo "witness_policy = \"$WORK/rekor-v2.policy\"" >>"$W_DIR/cairn.toml"
  sed -i "/^name = \"rekor-v1\"/a witness_policy = \"$WORK/rekor-v1.policy\"" "$W_DIR/cairn.toml"
  sed -n 's/^origin = "\(.* - .*\)"/\1/p' "$W_DIR/cairn.toml" >"$WORK/rekor-v1.origin"
  tail -n 1 "$WORK/init.log" >"$WORK/rekor-v1.vkey"
  "$CAIRN_BIN/cairn-server" add-log --data-dir "$W_DIR" --name raw --personality raw \
    --origin raw.example >"$WORK/raw.vkey" 2>"$WORK/init.log" ||
    give_up "cairn-server add-log failed" "$WORK/init.log"
  echo "witness_policy = \"$WORK/raw.policy\"" >>"$W_DIR/cairn.toml"
  make_litewitness
  seed_litewitness localhost "$WORK/rekor-v2.vkey"
  seed_litewitness "$(cat "$WORK/rekor-v1.origin")" "$WORK/rekor-v1.vkey"
  seed_litewitness raw.example "$WORK/raw.vkey"
  make_witness ours cairn.example/w "$WORK/rekor-v2.vkey" "$WORK/raw.vkey"
  "$CAIRN_BIN/cairn-witness" add-log --data-dir "$WORK/ours" "$(cat "$WORK/rekor-v1.vkey")" \
    --origin "$(cat "$WORK/rekor-v1.origin")" >"$WORK/ours.log" 2>&1 ||
    give_up "cairn-witness add-log failed" "$WORK/ours.log"
  make_witness third third.example/w "$WORK/raw.vkey"
  OUR_PORT=$(free_port)
  start_witness ours "$OUR_PORT"
  THIRD_PORT=$(free_port)
  start_witness third "$THIRD_PORT"
  write_policies
  start_witnessed
}

write_policies() {
  local log ours ours_ml_dsa any lite third
  ours="witness cairn $(vkey_of ours 04) http://127.0.0.1:$OUR_PORT"
  ours_ml_dsa="witness cairn-ml-dsa $(vkey_of ours 06) http://127.0.0.1:$OUR_PORT"
  any='group cairn-any any cairn cairn-ml-dsa'
  lite="witness lite $LITEWITNESS_VKEY http://127.0.0.1:$LITEWITNESS_PORT"
  third="witness third $(vkey_of third 04) http://127.0.0.1:$THIRD_PORT"
  for log in rekor-v1 rekor-v2; do
    write_policy "$log.policy" "$ours" "$ours_ml_dsa" "$any" "$lite" 'group q all cairn-any lite'
  done
  write_policy rekor-v2.ed25519 "$ours" "$lite" 'group q all cairn lite'
  write_policy raw.policy "$ours" "$ours_ml_dsa" "$any" "$lite" "$third" \
    'group q 2 cairn-any lite third'
  write_policy raw.ed25519 "$ours" "$lite" "$third" 'group q 2 cairn lite third'
}

# write_policy FILE LINE...: the log whose name the file begins with, and the quorum q.
write_policy() {
  printf '%s\n' "log $(cat "$WORK/${1%.*}.vkey")" "${@:2}" 'quorum q' >"$WORK/$1"
}

start_witnessed() {
  start server "$CAIRN_BIN/cairn-server" serve --data-dir "$W_DIR" \
    --listen "127.0.0.1:$W_PORT" --admin 127.0.0.1:0
  wait_for "the server with witnesses" "$WORK/server.log" answers "$W_PORT" /healthz
}

# published LOG SIZE: within 10 s the log publishes a tree of that size, not of a larger one. All
# of the tree is read; the checkpoint is left in LOG.checkpoint.
published() {
  local tries
  for ((tries = 0; tries < 50; tries++)); do
    if read_published "$1" >/dev/null 2>&1 &&
      [ "$(sed -n 2p "$WORK/$1.checkpoint")" -ge "$2" ]; then break; fi
    sleep 0.2
  done
  read_published "$1" && [ "$(sed -n 2p "$WORK/$1.checkpoint")" = "$2" ]
}

read_published() {
  local origin=()
  if [ -e "$WORK/$1.origin" ]; then origin=(--origin "$(cat "$WORK/$1.origin")"); fi
  "$BUILT/reader" --url "$W_URL/logs/$1" --vkey "$WORK/$1.vkey" ${origin[@]+"${origin[@]}"} \
    --save "$WORK/$1.checkpoint"
}
