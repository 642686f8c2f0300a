# Tessera's POSIX log under our witness: it publishes only what its own code finds cosigned. As
# released it reads the Ed25519 line; with a later release of its note library also the ML-DSA one.

check_tessera_log() {
  local name
  T_PORT=$(free_port)
  for name in posix ml-dsa unknown; do "$BUILT/notekey" "$name.example/log" "$WORK/$name"; done
  make_witness posix-witness cairn.example/posix "$WORK/posix.vkey" "$WORK/ml-dsa.vkey"
  start_witness posix-witness "$T_PORT"
  posix_policy posix 04
  posix_policy unknown 04
  posix_policy ml-dsa 06

  check tessera-log "publishes a first checkpoint with our Ed25519 line" grow_posix posix 1 1
  check tessera-log "proves to our witness that it grew to 300 entries" grow_posix posix 299 300
  [ -s "$WORK/posix-log/checkpoint" ] || return 0
  cp -r "$WORK/posix-log" "$WORK/posix-old"
  check tessera-log "proves that it grew by one" grow_posix posix 1 301
  check tessera-log "proves that it grew by 700" grow_posix posix 700 1001
  check tessera-log "publishes nothing that our witness was not told to trust" \
    unpublished unknown 'origin is unknown: 404'
  mv "$WORK/posix-log" "$WORK/posix-honest"
  cp -r "$WORK/posix-old" "$WORK/posix-log"
  check tessera-log "publishes no second history" \
    unpublished posix 'x.tlog.size 1001, larger than log size 301'
  rm -r "$WORK/posix-log"
  mv "$WORK/posix-honest" "$WORK/posix-log"
  check tessera-log "is convicted of it by the evidence of our witness" convicted posix
  refuse tessera-log "to be convicted under another key" '^cairn: ' convicted posix unknown
  check tessera-log "goes on with the history that our witness knows" grow_posix posix 1 1002

  check tessera-log "publishes a first checkpoint with our ML-DSA line" grow_posix ml-dsa 3 3
  check tessera-log "proves its growth for the ML-DSA line" grow_posix ml-dsa 500 503

  stop posix-witness
  check tessera-log "publishes nothing while our witness is away" \
    unpublished posix 'connection refused'
  start_witness posix-witness "$T_PORT"
  check tessera-log "publishes both when our witness is back" grow_posix posix 1 1004
  check_audit
}

# What a log and our witness show is compared by cairn audit: what it says of an honest log, and of
# one that shows a longer, other history, without asking our witness.
check_audit() {
  A_PORT=$(free_port)
  start posix-files python3 -m http.server "$A_PORT" --bind 127.0.0.1 --directory "$WORK/posix-log"
  wait_for "the files of the log" "$WORK/posix-files.log" answers "$A_PORT" /checkpoint
  check tessera-log "is found consistent by cairn audit" audit_posix
  mv "$WORK/posix-old" "$WORK/posix-fork"
  check tessera-log "adds 900 other entries to an old copy, unwitnessed" grow_fork 900
  stop posix-files
  start posix-files python3 -m http.server "$A_PORT" --bind 127.0.0.1 --directory "$WORK/posix-fork"
  wait_for "the files of the fork" "$WORK/posix-files.log" answers "$A_PORT" /checkpoint
  refuse tessera-log "to pass cairn audit with that" '^cairn: convicted: log-fork' audit_posix
  check tessera-log "is convicted by what cairn audit found" \
    cairn evidence verify "$WORK"/audit/*.tlog-evidence --log-vkey "$WORK/posix.vkey"
}

audit_posix() {
  cairn audit --url "http://127.0.0.1:$A_PORT/" --policy "$WORK/posix.policy" \
    --state "$WORK/audit-state" --evidence-dir "$WORK/audit"
}

# grow_fork COUNT: the copy of size 300 takes that many entries, and publishes alone.
grow_fork() {
  local n
  rm -rf "$WORK/posix-entries"
  mkdir -p "$WORK/posix-entries" "$WORK/audit"
  for ((n = 0; n < $1; n++)); do echo "other entry $n" >"$WORK/posix-entries/$n"; done
  timeout 60 "$POSIX_LOG" --storage_dir="$WORK/posix-fork" --private_key="$WORK/posix.key" \
    --entries="$WORK/posix-entries/*" && cat "$WORK/posix-fork/checkpoint" &&
    [ "$(sed -n 2p "$WORK/posix-fork/checkpoint")" = $((300 + $1)) ]
}

# posix_policy LOG TYPE: the policy of a log whose quorum is the key of this type.
posix_policy() {
  printf '%s\n' "log $(cat "$WORK/$1.vkey")" \
    "witness ours $(vkey_of posix-witness "$2") http://127.0.0.1:$T_PORT" \
    'quorum ours' >"$WORK/$1.policy"
}

# grow_posix LOG COUNT SIZE: the log takes that many new entries and publishes a checkpoint of that
# size, which opens with the key of its policy.
grow_posix() {
  local n
  rm -rf "$WORK/$1-entries"
  mkdir -p "$WORK/$1-entries"
  for ((n = $3 - $2; n < $3; n++)); do echo "entry $n of $1" >"$WORK/$1-entries/$n"; done
  run_posix "$1" && cat "$WORK/$1-log/checkpoint" &&
    [ "$(sed -n 2p "$WORK/$1-log/checkpoint")" = "$3" ] &&
    "$BUILT/opener" --policy "$WORK/$1.policy" --every --checkpoint "$WORK/$1-log/checkpoint"
}

# run_posix LOG [SECONDS]
run_posix() {
  local program=$POSIX_LOG
  if [ "$1" = ml-dsa ]; then program=$BUILT/posix-oneshot; fi
  timeout "${2-60}" "$program" --storage_dir="$WORK/$1-log" --private_key="$WORK/$1.key" \
    --entries="$WORK/$1-entries/*" --witness_policy_file="$WORK/$1.policy" --witness_timeout=5s
}

# unpublished LOG REASON: one more entry is never published, for this reason, however often the log
# asks: Tessera would go on for ever, or does not begin.
unpublished() {
  local checkpoint=$WORK/$1-log/checkpoint before after status=0
  rm -rf "$WORK/$1-entries"
  mkdir -p "$WORK/$1-entries"
  echo "another entry of $1" >"$WORK/$1-entries/another"
  before=$(cat "$checkpoint" 2>/dev/null || true)
  run_posix "$1" 3 >"$WORK/unpublished" 2>&1 || status=$?
  cat "$WORK/unpublished"
  after=$(cat "$checkpoint" 2>/dev/null || true)
  [ "$status" != 0 ] && [ "$before" = "$after" ] && grep -q "$2" "$WORK/unpublished"
}

# convicted LOG [OTHER]: the evidence that our witness keeps about the log convicts its key, or that
# of the other log.
convicted() {
  "$CAIRN_BIN/cairn-witness" evidence --data-dir "$WORK/posix-witness" --origin "$1.example/log" \
    >"$WORK/$1.evidence" && cat "$WORK/$1.evidence" &&
    cairn evidence verify "$WORK/$1.evidence" --log-vkey "$WORK/${2-$1}.vkey" \
      --origin "$1.example/log"
}
