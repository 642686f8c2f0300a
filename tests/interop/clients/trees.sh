# The readers of whole trees: golang.org/x/mod/sumdb/tlog, in our program around it, and Tessera's
# fsck.

# How many entries the large log gets. This many leave partial tiles at every level.
ENTRIES=${INTEROP_ENTRIES-100003}

# The large log is filled once a run, by whichever client comes first, with a checkpoint on the way.
fill_log() {
  [ ! -e "$WORK/filled" ] || return 0
  local older=$((ENTRIES * 2 / 5))
  fill 0 "$older" &&
    "$BUILT/reader" --url "$RAW_URL" --vkey "$TRUST/raw.vkey" --save "$WORK/older" &&
    fill "$older" $((ENTRIES - older)) && touch "$WORK/filled"
}

fill() {
  "$BUILT/filler" --url "$RAW_URL/add" --first "$1" --count "$2" --leaves "$WORK/leaves"
}

check_tessera() {
  CHECK_SECONDS=400 check tessera "has a log filled with $ENTRIES entries" fill_log
  check tessera "fsck of the raw log" \
    fsck "$ENTRIES" --storage_url="$RAW_URL/" --public_key="$TRUST/raw.vkey"
  check tessera "fsck of the rekor-v2 log" \
    fsck '[0-9]*' --storage_url="$URL/" --public_key="$TRUST/rekor-v2.vkey"
  check tessera "fsck of the rekor-v1 log" \
    fsck '[0-9]*' --storage_url="$URL/logs/rekor-v1/" --public_key="$TRUST/rekor-v1.vkey" \
    --origin="$V1_ORIGIN"
  refuse tessera "another log's key" 'no verifiable signatures' \
    fsck "$ENTRIES" --storage_url="$RAW_URL/" --public_key="$TRUST/rekor-v2.vkey"
}

# fsck SIZE OPTION...: it exits with 0 whatever it finds, so its last words decide.
fsck() {
  "$FSCK" --ui=false --N=8 "${@:2}" 2>&1 | tee "$WORK/fsck.log"
  grep -q "Successfully fsck'd log with size $1 " "$WORK/fsck.log"
}

# read_v1 OPTION...: the log of Rekor v1, by its tiles.
read_v1() {
  "$BUILT/reader" --url "$URL/logs/rekor-v1" --vkey "$TRUST/rekor-v1.vkey" \
    --origin "$V1_ORIGIN" "$@"
}

check_tlog() {
  local base older=() file
  CHECK_SECONDS=400 check tlog "has a log filled with $ENTRIES entries" fill_log
  check tlog "recomputes the raw tree, and proves the older checkpoint" \
    "$BUILT/reader" --url "$RAW_URL" --vkey "$TRUST/raw.vkey" --leaves "$WORK/leaves" \
    --old "$WORK/older"
  for file in "$WORK"/checkpoints/*; do
    if [ -e "$file" ]; then older+=(--old "$file"); fi
  done
  for base in "$URL" "$URL/api/v2" "$URL/logs/rekor-v2"; do
    check tlog "recomputes the rekor-v2 tree at ${base#"$URL"}/ and proves its past" \
      "$BUILT/reader" --url "$base" --vkey "$TRUST/rekor-v2.vkey" ${older[@]+"${older[@]}"}
  done
  older=()
  for file in "$WORK"/checkpoints-v1/*; do
    if [ -e "$file" ]; then older+=(--old "$file"); fi
  done
  check tlog "recomputes the rekor-v1 tree and proves its past" \
    read_v1 ${older[@]+"${older[@]}"}
  refuse tlog "the rekor-v1 tree of another origin" 'the origin is' \
    "$BUILT/reader" --url "$URL/logs/rekor-v1" --vkey "$TRUST/rekor-v1.vkey"
  refuse tlog "another log's key" 'no verifiable signatures' \
    "$BUILT/reader" --url "$RAW_URL" --vkey "$TRUST/rekor-v2.vkey"
  check tlog "keeps a checkpoint of the rekor-v2 log" \
    "$BUILT/reader" --url "$URL" --vkey "$TRUST/rekor-v2.vkey" --save "$WORK/other-checkpoint"
  refuse tlog "another log's checkpoint" 'no verifiable signatures' \
    "$BUILT/reader" --url "$RAW_URL" --vkey "$TRUST/raw.vkey" --old "$WORK/other-checkpoint"
  refuse tlog "leaves that were not submitted" 'are expected' \
    "$BUILT/reader" --url "$URL" --vkey "$TRUST/rekor-v2.vkey" --leaves "$WORK/leaves"
}
