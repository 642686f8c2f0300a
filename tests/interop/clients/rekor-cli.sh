# rekor-cli: each kind of entry that anybody still sends, uploaded, found, fetched and verified. It
# checks every answer itself: signed timestamp, inclusion proof, checkpoint, and for loginfo that
# the log only grew; with the key of `cairn trust export`, not with what the log says.

rekor_cli() {
  REKOR_REKOR_SERVER_PUBLIC_KEY=$(cat "${REKOR_KEY-$TRUST/rekor-v1.pub}") \
    "$REKOR_CLI" --rekor_server "$URL" "$@"
}

REKOR_ENTRIES=(hashedrekord certified rekord-x509 rekord-ssh rekord-minisign rekord-pgp dsse intoto
  intoto-0.0.1 rfc3161)

# rekor_entry ENTRY [ARTIFACT] leaves in ARGS what names it to rekor-cli, in FILE what is logged.
rekor_entry() {
  local type=${1%%-*} format=x509 signed=x509 public=x509.pub
  FILE=${2-$ARTIFACT}
  case "$1" in
    certified) type=hashedrekord signed=certified public=certificate.pem ;;
    rekord-*) format=${1#*-} signed=${1#*-} public=${1#*-}.pub ;;
    dsse) FILE=${2-$SIGNED/envelope.json} ;;
    intoto) type=intoto:0.0.2 FILE=${2-$SIGNED/envelope.json} ;;
    intoto-*) type=intoto:${1#*-} FILE=${2-$SIGNED/envelope.json} ;;
    rfc3161) FILE=${2-$STANDIN/stamp.tsr} ;;
  esac
  ARGS=(--type "$type" --artifact "$FILE")
  case "$1" in
    rfc3161) return ;;
    *) ARGS+=(--pki-format "$format" --public-key "$SIGNED/$public") ;;
  esac
  case "$type" in
    hashedrekord | rekord) ARGS+=(--signature "$SIGNED/$signed.sig") ;;
  esac
}

check_rekor_cli() {
  local entry
  make_signed
  for entry in "${REKOR_ENTRIES[@]}"; do
    check_rekor_entry "$entry"
  done
  check_rekor_search
  check_rekor_log
  check rekor-cli "verifies what cairn logged" rekor_of_cairn
}

check_rekor_entry() {
  local entry=$1 refusal='verif|signature' forged=$OTHER_ARTIFACT
  case "$entry" in
    dsse | intoto*) forged=$SIGNED/forged.json ;;
    rfc3161) forged=$SIGNED/forged.tsr ;;
  esac
  rekor_entry "$entry"
  refuse rekor-cli "$entry that is not logged" 'entry in log cannot be located' \
    rekor_cli verify "${ARGS[@]}"
  check rekor-cli "uploads $entry" rekor_upload "$entry" "Created entry at index"
  check rekor-cli "is shown $entry when it uploads that again" \
    rekor_upload "$entry" "Entry already exists"
  check rekor-cli "verifies $entry by what was signed" rekor_says "Inclusion Proof:" \
    verify "${ARGS[@]}"
  check rekor-cli "verifies $entry by its id" rekor_says "Inclusion Proof:" \
    verify --uuid "$(cat "$SIGNED/$entry.id")"
  check rekor-cli "gets $entry by its id, short id and index" rekor_get "$entry"
  check rekor-cli "finds $entry by all that it should" rekor_find "$entry"
  rekor_entry "$entry" "$forged"
  refuse rekor-cli "to upload $entry with something else" "$refusal" rekor_cli upload "${ARGS[@]}"
  refuse rekor-cli "to verify $entry with something else" "$refusal" rekor_cli verify "${ARGS[@]}"
  REKOR_KEY=$SIGNED/other.pub refuse rekor-cli "$entry under another key of the log" 'verif' \
    rekor_cli get --uuid "$(cat "$SIGNED/$entry.id")"
  check cairn "gets $entry, and finds it" rekor_by_cairn "$entry"
}

# rekor_by_cairn ENTRY: our own command line reads it, and finds it by what it is about.
rekor_by_cairn() {
  local id
  id=$(cat "$SIGNED/$1.id")
  rekor_entry "$1"
  # Only the older of the two kinds remembers its envelope.
  if [ "$1" = intoto ]; then FILE=$ARTIFACT; fi
  cairn_get_v1 "$id" "$(cat "$SIGNED/$1.index")" &&
    cairn search --url "$URL" --log-key "$TRUST/rekor-v1.pub" --artifact "$FILE" |
    tee "$SIGNED/said" && grep -q "$id" "$SIGNED/said"
}

# rekor_says PATTERN ARGUMENT...: it succeeds and prints that.
rekor_says() {
  rekor_cli "${@:2}" | tee "$SIGNED/said" && grep -q -- "$1" "$SIGNED/said"
}

# rekor_upload ENTRY PATTERN: what it says; the same id, if there was one before.
rekor_upload() {
  local id before=$SIGNED/$1.id
  rekor_entry "$1"
  rekor_says "$2" upload "${ARGS[@]}" || return
  id=$(grep -Eo "$URL/api/v1/log/entries/[0-9a-f]{80}" "$SIGNED/said") || return
  id=${id##*/}
  if [ -e "$before" ]; then [ "$(cat "$before")" = "$id" ]; else echo "$id" >"$before"; fi
}

# rekor_get ENTRY: by the 80 and the 64 digits, and by index, it is the same entry.
rekor_get() {
  local id index by
  id=$(cat "$SIGNED/$1.id")
  rekor_says "\"UUID\":\"$id\"" get --format json --uuid "$id" || return
  index=$(grep -o '"LogIndex":[0-9]*' "$SIGNED/said" | cut -d: -f2)
  cp "$SIGNED/said" "$SIGNED/got"
  for by in "--uuid ${id:16}" "--log-index $index"; do
    # shellcheck disable=SC2086 # two words
    rekor_says "\"UUID\":\"$id\"" get --format json $by &&
      cmp "$SIGNED/got" "$SIGNED/said" || return
  done
  echo "$index" >"$SIGNED/$1.index"
  rekor_says '"canonicalizedBody"' get --format tle --uuid "$id"
}

# rekor_find ENTRY: by what was logged and by whose key, each of them and both at once. The older
# kinds of in-toto name what their statement is about, the newer of them not its envelope.
rekor_find() {
  local by id
  id=$(cat "$SIGNED/$1.id")
  rekor_entry "$1"
  local key=("${ARGS[@]:4:4}") file=(--artifact "$FILE") subject=(--sha "$(sha256 "$ARTIFACT")")
  case "$1" in
    intoto) file=("${subject[@]}") ;;
    intoto-* | dsse) rekor_says "$id" search "${subject[@]}" || return ;;
  esac
  rekor_says "$id" search "${file[@]}" || return
  if [ "$1" = rfc3161 ]; then return; fi
  for by in and or; do
    rekor_says "$id" search "${key[@]}" "${file[@]}" --operator "$by" || return
  done
  rekor_says "$id" search "${key[@]}"
}

# Names are found in any letter case; what nobody logged is not found, and a search needs a word.
check_rekor_search() {
  local id
  id=$(cat "$SIGNED/certified.id")
  check rekor-cli "finds the mail address in a certificate" \
    rekor_says "$id" search --email "${IDENTITY^^}"
  check rekor-cli "finds another name in a certificate" \
    rekor_says "$id" search --subject "$WORKLOAD"
  check rekor-cli "finds the certificate, by that name and the file" rekor_says "$id" \
    search --subject "$WORKLOAD" --artifact "$ARTIFACT" --operator and
  refuse rekor-cli "to find a stranger" 'no matching entries found' \
    rekor_cli search --email "$OTHER_IDENTITY"
  refuse rekor-cli "to find another file" 'no matching entries found' \
    rekor_cli search --artifact "$OTHER_ARTIFACT"
  refuse rekor-cli "to find a stranger with the file" 'no matching entries found' \
    rekor_cli search --email "$OTHER_IDENTITY" --artifact "$ARTIFACT" --operator and
  refuse rekor-cli "an index that is not there" 'getLogEntryByIndexNotFound' \
    rekor_cli get --log-index 999999
  refuse rekor-cli "an id that is not there" 'getLogEntryByUuidNotFound' \
    rekor_cli get --uuid "$(sha256 "$ARTIFACT")"
}

# It keeps the last tree head of each log below the home directory.
check_rekor_log() {
  local size
  check rekor-cli "reads the state of the log" rekor_says "Verification Successful" loginfo
  printf 'a release, version 3\n' >"$SIGNED/third"
  openssl dgst -sha256 -sign "$SIGNED/x509.key" -out "$SIGNED/third.sig" "$SIGNED/third"
  check rekor-cli "uploads one more entry" rekor_says "Created entry" upload --type hashedrekord \
    --pki-format x509 --artifact "$SIGNED/third" --signature "$SIGNED/third.sig" \
    --public-key "$SIGNED/x509.pub"
  check rekor-cli "finds that the log only grew" rekor_says "Verification Successful" loginfo
  size=$(sed -n 's/^Active Tree Size: *//p' "$SIGNED/said")
  check rekor-cli "is given each consistency proof" rekor_proofs "$size"
  refuse rekor-cli "a proof for a larger tree" 'greater than what is currently observable' \
    rekor_cli logproof --first-size 1 --last-size $((size + 1))
  refuse rekor-cli "a proof for a tree of others" 'no log range found' \
    rekor_cli logproof --first-size 1 --last-size 2 --tree-id 5
  REKOR_KEY=$SIGNED/other.pub refuse rekor-cli "the log under another key" 'did not verify' \
    rekor_cli loginfo
  # The root that it remembers becomes another one.
  sed -Ei 's|(\\n[0-9]+\\n)[^\\]*|\1AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=|g' \
    "$HOME/.rekor/state.json"
  refuse rekor-cli "a log with another history" 'root hash does not match' rekor_cli loginfo
  rm "$HOME/.rekor/state.json"
}

rekor_proofs() {
  local first root
  root=$(sed -n 's/^Root Hash: *//p' "$SIGNED/said")
  for ((first = 1; first <= $1; first++)); do
    rekor_says "^Current Root Hash: $root" \
      logproof --first-size "$first" --last-size "$1" || return
  done
}

rekor_of_cairn() {
  local kind id bundle
  statement "$ARTIFACT" >"$SIGNED/statement"
  for kind in rekord dsse intoto; do
    # There are no bundles of the oldest kind.
    bundle=(--bundle "$SIGNED/statement.bundle")
    if [ "$kind" = rekord ]; then bundle=(); fi
    cairn submit --api v1 --url "$URL" --key "$SIGNED/x509.key" --kind "$kind" \
      --log-key "$TRUST/rekor-v1.pub" --answer "$SIGNED/answer" ${bundle[@]+"${bundle[@]}"} \
      "$SIGNED/statement" || return
    id=$(grep -Eo '"[0-9a-f]{80}"' "$SIGNED/answer" | tr -d '"')
    rekor_says "Inclusion Proof:" verify --uuid "$id" || return
  done
}
