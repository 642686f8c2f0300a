# What is the same for every client: the negative checks, and each client verifying what the others
# signed. Sourced by checks.

PREDICATE_TYPE=slsaprovenance1

# predicate prints the name of a file with the smallest provenance that cosign takes.
predicate() {
  cat >"$WORK/predicate.json" <<'JSON'
{"buildDefinition":{"buildType":"https://example.test/build/v1",
                    "externalParameters":{"source":"example"}},
 "runDetails":{"builder":{"id":"https://example.test/builder"}}}
JSON
  echo "$WORK/predicate.json"
}

# refuse_damaged CLIENT WHAT PATTERN BUNDLE COMMAND...: the command, which is given the path of a
# damaged copy where it says DAMAGED, has to refuse each of them.
refuse_damaged() {
  local client=$1 what=$2 pattern=$3 copies copy
  copies=$WORK/damaged/${#RESULTS[@]}
  mkdir -p "$copies"
  check "$client" "$what can be damaged" "$BUILT/tamper" "$4" "$copies"
  shift 4
  for copy in "$copies"/*; do
    refuse "$client" "$what with $(basename "$copy" .json)" "$pattern" "${@/#DAMAGED/$copy}"
  done
}

# check_verifier CLIENT BUNDLE WHAT: its keyless bundle verifies, and nothing near it does.
check_verifier() {
  local client=$1 bundle=$2 what=$3 verify=verify_${1//-/_} refusal=REFUSAL_${1//-/_}
  [ -s "$bundle" ] || return 0
  check "$client" "verifies $what" "$verify" "$ARTIFACT" "$bundle"
  refuse "$client" "$what for another file" "${!refusal}" "$verify" "$OTHER_ARTIFACT" "$bundle"
  refuse "$client" "$what for another identity" "${!refusal}" \
    "$verify" "$ARTIFACT" "$bundle" "$OTHER_IDENTITY"
  refuse_damaged "$client" "$what" "${!refusal}" "$bundle" "$verify" "$ARTIFACT" DAMAGED
}

# check_key_verifier CLIENT KEY OTHER_KEY BUNDLE WHAT: the same for what was signed with a key.
check_key_verifier() {
  local client=$1 key=$2 other=$3 bundle=$4 what=$5
  local verify=verify_${1//-/_}_key refusal=REFUSAL_${1//-/_}
  [ -s "$bundle" ] || return 0
  check "$client" "verifies $what" "$verify" "$key" "$ARTIFACT" "$bundle"
  refuse "$client" "$what for another file" "${!refusal}" \
    "$verify" "$key" "$OTHER_ARTIFACT" "$bundle"
  refuse "$client" "$what for another key" "${!refusal}" "$verify" "$other" "$ARTIFACT" "$bundle"
  refuse_damaged "$client" "$what" "${!refusal}" "$bundle" "$verify" "$key" "$ARTIFACT" DAMAGED
}

# cross_check CLIENT...: each of them verifies what the others signed.
cross_check() {
  local by of
  for by in "$@"; do
    declare -F "verify_${by//-/_}" >/dev/null || continue
    for of in "$@"; do
      [ "$by" != "$of" ] && [ -s "$WORK/bundles/$of.json" ] || continue
      check "$by" "verifies what $of signed" \
        "verify_${by//-/_}" "$ARTIFACT" "$WORK/bundles/$of.json"
      if cannot_read "$by" "$of" || [ ! -s "$WORK/attestations/$of.json" ]; then continue; fi
      check "$by" "verifies what $of attested" \
        "verify_${by//-/_}" "$ARTIFACT" "$WORK/attestations/$of.json"
    done
    cross_check_keys "$by"
    cross_check_v1 "$by"
  done
}

# cross_check_v1 CLIENT: it verifies what the others logged with Rekor v1.
cross_check_v1() {
  local by=$1 bundle name
  for bundle in "$WORK"/bundles-v1/*.json; do
    name=$(basename "$bundle" .json)
    case "$by $name" in
      "$by $by"*) continue ;;               # It did that already.
      "sigstore-python "*-intoto) continue ;; # It gave up that kind.
    esac
    [ -e "$bundle" ] || continue
    check "$by" "verifies with Rekor v1 the bundle $name" \
      "verify_${by//-/_}" "$ARTIFACT" "$bundle"
  done
}

# cannot_read BY OF: whether the one gave up, or never learned, to read the other's attestations;
# none of it has to do with the log.
cannot_read() {
  case "$1 $2" in
    # The only one that still logs attestations as the older kind dsse 0.0.2.
    "cairn sigstore-js") false ;;
    *" sigstore-js") true ;;
    # It writes statements of in-toto v0.1, and the other reads those of v1.
    "sigstore-python cosign") true ;;
    *) false ;;
  esac
}

# cross_check_keys CLIENT: it verifies what was signed with keys, by cairn and by cosign.
cross_check_keys() {
  local by=$1 bundle public verify
  verify=verify_${by//-/_}_key
  declare -F "$verify" >/dev/null || return 0
  for bundle in "$WORK"/bundles/*-key.bundle; do
    [ -e "$bundle" ] || continue
    case "$by $(basename "$bundle")" in
      "cairn cairn-"* | "cosign cosign-"*) continue ;;
      "sigstore-rust cosign-rsa-"*) continue ;; # It reads no v2 entry with another key than P-256.
      *" cairn-key.bundle" | *" cairn-v1-key.bundle") public=$WORK/cairn.key.pub ;;
      *" cosign-own-key.bundle") public=$WORK/cosign-keys/own.pub ;;
      *) public=$WORK/cosign-keys/rsa.pub ;;
    esac
    check "$by" "verifies with its key the bundle $(basename "$bundle" .bundle)" \
      "$verify" "$public" "$ARTIFACT" "$bundle"
  done
}
