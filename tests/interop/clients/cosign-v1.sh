# cosign as most have used it for years: against Rekor v1, with files of its own older format, by
# the last release that writes these by default and by the one of today. Part of interop-all.

# cosign_v1 RELEASE COMMAND ARGUMENT...: with each trusted key by itself, as there was no file for
# all of them then.
cosign_v1() {
  local release=$1
  shift
  case "$release" in
    2) release=$COSIGN_2 ;;
    3) release=$COSIGN ;;
  esac
  COSIGN_PASSWORD='' SIGSTORE_REKOR_PUBLIC_KEY=${REKOR_KEY-$TRUST/rekor-v1.pub} \
    SIGSTORE_ROOT_FILE=$STANDIN/ca.pem SIGSTORE_CT_LOG_PUBLIC_KEY_FILE=$STANDIN/ct.pub \
    "$release" "$@"
}

# The options of today's release that make it do as the older one does.
older_options() {
  case "$1 $2" in
    "3 sign"*) echo --use-signing-config=false --new-bundle-format=false ;;
    "3 attest"*) echo --use-signing-config=false --new-bundle-format=false ;;
    "3 verify"*) echo --new-bundle-format=false ;;
  esac
}

REFUSAL_cosign_v1='Error: .*(verif|invalid|not match|no matching|none of the expected|not found)'

check_cosign_v1() {
  local release
  V1=$WORK/cosign-v1
  mkdir "$V1"
  check cosign-v1 "makes a key pair" cosign_v1 2 generate-key-pair --output-key-prefix "$V1/own"
  check cosign-v1 "makes another" cosign_v1 2 generate-key-pair --output-key-prefix "$V1/other"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>"$WORK/openssl.log" |
    openssl pkey -pubout -out "$V1/stranger.pub"
  for release in 2 3; do
    check_cosign_v1_blobs "$release"
    check_cosign_v1_keyless "$release"
    check_cosign_v1_attestations "$release"
    check_cosign_v1_new "$release"
  done
  check_cosign_v1_again
}

# legacy RELEASE COMMAND ARGUMENT...: in the older way.
legacy() {
  # shellcheck disable=SC2046 # several words
  cosign_v1 "$1" "$2" $(older_options "$1" "$2") "${@:3}"
}

check_cosign_v1_blobs() {
  local bundle=$V1/$1.bundle signature=$V1/$1.sig verify=(legacy "$1" verify-blob --key)
  check cosign-v1 "$1: signs with a key" legacy "$1" sign-blob --yes --key "$V1/own.key" \
    --rekor-url "$URL" --bundle "$bundle" --output-signature "$signature" "$ARTIFACT"
  check cosign-v1 "$1: verifies offline by the promise in the bundle" \
    "${verify[@]}" "$V1/own.pub" --offline --bundle "$bundle" "$ARTIFACT"
  check cosign-v1 "$1: verifies online, without a bundle" "${verify[@]}" "$V1/own.pub" \
    --signature "$signature" --rekor-url "$URL" "$ARTIFACT"
  check cairn "verifies what cosign $1 signed with Rekor v1" cairn verify --bundle "$bundle" \
    --trusted-root "$TRUST_LOG/trusted_root.json" --key "$V1/own.pub" "$ARTIFACT"
  refuse cosign-v1 "$1: another file" "$REFUSAL_cosign_v1" \
    "${verify[@]}" "$V1/own.pub" --offline --bundle "$bundle" "$OTHER_ARTIFACT"
  refuse cosign-v1 "$1: another file, online" "$REFUSAL_cosign_v1" "${verify[@]}" "$V1/own.pub" \
    --signature "$signature" --rekor-url "$URL" "$OTHER_ARTIFACT"
  refuse cosign-v1 "$1: another key" "$REFUSAL_cosign_v1" \
    "${verify[@]}" "$V1/other.pub" --offline --bundle "$bundle" "$ARTIFACT"
  REKOR_KEY=$V1/stranger.pub refuse cosign-v1 "$1: the promise of another log" \
    "$REFUSAL_cosign_v1" "${verify[@]}" "$V1/own.pub" --offline --bundle "$bundle" "$ARTIFACT"
  sed 's/"integratedTime":1/"integratedTime":2/' "$bundle" >"$bundle.later"
  refuse cosign-v1 "$1: a promise with another time" "$REFUSAL_cosign_v1" \
    "${verify[@]}" "$V1/own.pub" --offline --bundle "$bundle.later" "$ARTIFACT"
}

# The time in the promise is the only one there is, and it has to fall into the ten minutes of the
# certificate.
check_cosign_v1_keyless() {
  local bundle=$V1/$1-keyless.bundle
  local verify=(legacy "$1" verify-blob --certificate-oidc-issuer "$ISSUER" --offline
    --bundle "$bundle" --certificate-identity)
  check cosign-v1 "$1: signs keyless" legacy "$1" sign-blob --yes --identity-token "$TOKEN" \
    --fulcio-url "$(cat "$STANDIN/url")" --rekor-url "$URL" --bundle "$bundle" "$ARTIFACT"
  check cosign-v1 "$1: verifies that" "${verify[@]}" "$IDENTITY" "$ARTIFACT"
  refuse cosign-v1 "$1: another identity" "$REFUSAL_cosign_v1" \
    "${verify[@]}" "$OTHER_IDENTITY" "$ARTIFACT"
  refuse cosign-v1 "$1: another file of that identity" "$REFUSAL_cosign_v1" \
    "${verify[@]}" "$IDENTITY" "$OTHER_ARTIFACT"
}

check_cosign_v1_attestations() {
  local kind signature
  for kind in dsse intoto; do
    signature=$V1/$1-$kind.att
    local verify=(legacy "$1" verify-blob-attestation --type "$PREDICATE_TYPE"
      --rekor-url "$URL" --signature "$signature" --key)
    check cosign-v1 "$1: attests with a key, as $kind" legacy "$1" attest-blob --yes \
      --key "$V1/own.key" --rekor-url "$URL" --rekor-entry-type "$kind" \
      --predicate "$(predicate)" --type "$PREDICATE_TYPE" --output-signature "$signature" \
      --bundle "$signature.bundle" "$ARTIFACT"
    check cosign-v1 "$1: verifies the $kind attestation online" \
      "${verify[@]}" "$V1/own.pub" "$ARTIFACT"
    check cosign-v1 "$1: verifies the $kind attestation offline" "${verify[@]}" "$V1/own.pub" \
      --bundle "$signature.bundle" --offline "$ARTIFACT"
    refuse cosign-v1 "$1: the $kind attestation of another file" "$REFUSAL_cosign_v1" \
      "${verify[@]}" "$V1/own.pub" "$OTHER_ARTIFACT"
    refuse cosign-v1 "$1: the $kind attestation under another key" "$REFUSAL_cosign_v1" \
      "${verify[@]}" "$V1/other.pub" "$ARTIFACT"
  done
}

# Into the same log, but with today's bundles.
check_cosign_v1_new() {
  local bundle=$V1/$1.json verify=(cosign_v1 "$1" verify-blob --new-bundle-format
    --trusted-root "$TRUST_LOG/trusted_root.json" --bundle)
  local sign=(cosign_v1 "$1" sign-blob --new-bundle-format --yes --key "$V1/own.key"
    --rekor-url "$URL" --bundle "$bundle")
  if [ "$1" = 3 ]; then sign+=(--use-signing-config=false); fi
  check cosign-v1 "$1: signs with a key, for a new bundle" "${sign[@]}" "$ARTIFACT"
  check cosign-v1 "$1: has the log's promise in it" grep -q inclusionPromise "$bundle"
  check cosign-v1 "$1: verifies the new bundle" \
    "${verify[@]}" "$bundle" --key "$V1/own.pub" "$ARTIFACT"
  refuse cosign-v1 "$1: the new bundle for another file" "$REFUSAL_cosign_v1" \
    "${verify[@]}" "$bundle" --key "$V1/own.pub" "$OTHER_ARTIFACT"
  refuse cosign-v1 "$1: the new bundle under another key" "$REFUSAL_cosign_v1" \
    "${verify[@]}" "$bundle" --key "$V1/other.pub" "$ARTIFACT"
  refuse_damaged cosign-v1 "$1: the new bundle" "$REFUSAL_cosign|missing in" "$bundle" \
    "${verify[@]}" DAMAGED --key "$V1/own.pub" "$ARTIFACT"
}

# RSA signatures are deterministic: to sign again is to submit the same entry again, and the older
# release then fetches the one that is there.
check_cosign_v1_again() {
  local bundle
  check cosign-v1 "imports an RSA key" cosign_v1 2 import-key-pair --yes \
    --key "$STANDIN/rsa.pem" --output-key-prefix "$V1/rsa"
  for bundle in first again; do
    check cosign-v1 "2: signs with it, $bundle" legacy 2 sign-blob --yes --key "$V1/rsa.key" \
      --rekor-url "$URL" --bundle "$V1/$bundle" "$ARTIFACT"
  done
  check cosign-v1 "2: was given the same entry" cmp <(log_index_v1 first) <(log_index_v1 again)
}

log_index_v1() {
  grep -o '"logIndex":[0-9]*' "$V1/$1"
}
