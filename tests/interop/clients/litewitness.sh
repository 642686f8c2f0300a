# litewitness, beside our own witness and with the same say: one log publishes only what both have
# cosigned, another what two of three have. UPSTREAM.md says what litewitness does differently.

check_litewitness() {
  make_witnessed
  check litewitness "cosigns the empty tree, as our own witness does" cosigned rekor-v2 0
  check litewitness "cosigns the empty tree of Rekor v1, whose origin is not its key's name" \
    cosigned rekor-v1 0
  check litewitness "cosigns an entry before that is answered" submit_witnessed 1
  check litewitness "cosigns an entry of Rekor v1" submit_witnessed_v1 1
  check litewitness "cosigns the head over that" cosigned rekor-v1 1
  check litewitness "is in the policy that cairn trust export writes" export_witnessed_trust
  check litewitness "stands beside our witness in the answer, cairn verifies" verify_witnessed 1
  make_witness stranger stranger.example/w
  refuse litewitness "to pass for a witness that nobody asked" '^cairn: .*(quorum|witness)' \
    verify_witnessed 1 "$(policy_with_stranger)"
  check litewitness "cosigns a tree that grows entry by entry" grow_witnessed 2 12
  check litewitness "cosigns each head of it" cosigned rekor-v2 12
  check litewitness "cosigns a tree that 64 writers fill" fill_witnessed 0 2000
  check litewitness "is one of two or three under that" published raw 2000
  check_torchwood

  cp "$WORK/rekor-v2.times" "$WORK/rekor-v2.older-times" || true
  stop server
  sleep 1.1 # the times in cosignatures are seconds
  start_witnessed
  check litewitness "cosigns the same tree anew when the log starts again" cosigned_anew 12
  check litewitness "cosigns what is submitted then" submit_witnessed 13
  check_absence
  check_older_copy
  check_lost_history
}

# Without litewitness the log that needs it publishes nothing, and the one that does not goes on.
check_absence() {
  stop litewitness
  check litewitness "is missed: the submitter gets 503" refused_by_log submit_witnessed 14
  check litewitness "is missed: nothing is published" cosigned rekor-v2 13
  check litewitness "is one of three: the other log goes on without it" fill_witnessed 2000 100
  stop server
  start_witnessed
  check litewitness "is missed at the start: what it cosigned is still served" cosigned rekor-v2 13
  stop third
  check litewitness "is missed by the other log as well, without the third" \
    refused_by_log fill_witnessed 2100 1
  check litewitness "is missed: nothing is published there either" published raw 2100
  start_litewitness
  check litewitness "is back: the entry that was kept is published" cosigned rekor-v2 14
  check litewitness "is back: that of the other log is" published raw 2101
  check litewitness "is back: what was kept is found, once" fill_witnessed 2100 1
  check litewitness "cosigns the next entry" submit_witnessed 15
  start_witness third "$THIRD_PORT"
}

# A copy of the log starts after the original went on: litewitness knows a larger tree, so the
# copy must stay shut; the original is not disturbed.
check_older_copy() {
  stop server
  cp -r "$W_DIR" "$WORK/copy"
  start_witnessed
  check litewitness "cosigns what the original logs after it was copied" submit_witnessed 16
  stop server
  stop ours
  local original=$W_DIR
  W_DIR=$WORK/copy
  start_witnessed
  sleep 3 # it is asked at once
  check litewitness "alone knows a larger tree: an older copy of the log stays shut" \
    refused_by_log submit_witnessed 17
  check litewitness "is named as the one that knows" \
    grep 'lite names size 16, this store has 15' "$WORK/server.log"
  stop server
  W_DIR=$original
  start_witness ours "$OUR_PORT"
  start_witnessed
  check litewitness "says nothing against the original" submit_witnessed 17
}

# litewitness under its old key and with nothing in its tables: what it says does not count, and
# with a third that is away it could be a quorum for another history.
check_lost_history() {
  stop server
  stop third
  stop litewitness
  seed_litewitness raw.example "$WORK/raw.vkey"
  start_litewitness
  start_witnessed
  sleep 3
  check litewitness "has lost its history: the log stays shut" \
    refused_by_log fill_witnessed 2101 1
  start_witness third "$THIRD_PORT"
  check litewitness "has lost its history: another one's word opens the log" published raw 2101
  stop third
  check litewitness "begins anew with the tree that the log has" fill_witnessed 2101 10
}

# cosigned LOG SIZE: each key of either witness has a line under what is published; the times in
# them are left in LOG.times.
cosigned() {
  published "$1" "$2" && "$BUILT/opener" --policy "$WORK/$1.policy" --every \
    --checkpoint "$WORK/$1.checkpoint" >"$WORK/$1.times" && cat "$WORK/$1.times"
}

# cosigned_anew SIZE: litewitness gave a newer time than the one that was kept.
cosigned_anew() {
  local tries older
  older=$(time_of older-times)
  for ((tries = 0; tries < 25; tries++)); do
    if cosigned rekor-v2 "$1" && [ "$(time_of times)" -gt "$older" ]; then return; fi
    sleep 0.2
  done
  false
}

time_of() {
  sed -n 's|^litewitness.example/w ||p' "$WORK/rekor-v2.$1"
}

export_witnessed_trust() {
  cairn trust export --url "$W_URL" --out "$WORK/witnessed-trust" &&
    grep "^witness .* $LITEWITNESS_VKEY" "$WORK/witnessed-trust/policy.txt" &&
    cairn policy check "$WORK/witnessed-trust/policy.txt"
}

# submit_witnessed SIZE: one more entry, after which the tree has that size.
submit_witnessed() {
  local file=$WORK/witnessed-file-$1
  printf 'file %s\n' "$1" >"$file"
  if [ ! -e "$WORK/witnessed.key" ]; then cairn keygen --out "$WORK/witnessed.key"; fi
  cairn submit --url "$W_URL" --key "$WORK/witnessed.key" --log-vkey "$WORK/rekor-v2.vkey" \
    --bundle "$file.bundle" --tlog-proof "$file.proof" "$file" &&
    [ "$(log_index "$file.bundle")" = $(($1 - 1)) ]
}

# submit_witnessed_v1 SIZE: the same for Rekor v1, whose answers never hold witnesses' lines.
submit_witnessed_v1() {
  cairn submit --api v1 --url "$W_URL" --key "$WORK/witnessed.key" --kind hashedrekord \
    --bundle "$WORK/witnessed-v1.bundle" "$ARTIFACT" &&
    [ "$(log_index "$WORK/witnessed-v1.bundle")" = $(($1 - 1)) ] &&
    ! grep -q litewitness "$WORK/witnessed-v1.bundle"
}

# verify_witnessed SIZE [POLICY]: what the log answered to the entry, offline.
verify_witnessed() {
  local file=$WORK/witnessed-file-$1 trust=$WORK/witnessed-trust
  cairn verify --bundle "$file.bundle" --trusted-root "$trust/trusted_root.json" \
    --key "$WORK/witnessed.key.pub" --witness-policy "${2-$trust/policy.txt}" "$file"
}

# policy_with_stranger prints the name of a policy that also wants a witness whom nobody asked.
policy_with_stranger() {
  local stranger
  stranger="witness stranger $(vkey_of stranger 04)"
  sed "s|^group q .*|$stranger\ngroup q all cairn lite stranger|" "$WORK/rekor-v2.ed25519" \
    >"$WORK/stranger.policy"
  echo "$WORK/stranger.policy"
}

grow_witnessed() {
  local size
  for ((size = $1; size <= $2; size++)); do submit_witnessed "$size" || return 1; done
}

# fill_witnessed SIZE COUNT: that many more entries in the raw log, the same for the same size.
fill_witnessed() {
  "$BUILT/filler" --url "$W_URL/logs/raw/add" --first "$1" --count "$2" \
    --leaves "$WORK/witnessed-leaves"
}

# refused_by_log COMMAND...: it is told to come again later, and that is why it fails.
refused_by_log() {
  "$@" >"$WORK/refused" 2>&1 && return 1
  cat "$WORK/refused"
  grep -q 503 "$WORK/refused"
}
