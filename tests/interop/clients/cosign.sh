# cosign: with a key, where it needs nothing but the log, and keyless. It rebuilds the leaf from the
# bundle, so every verification also proves that the canonical body is the one that all expect.

cosign() {
  COSIGN_PASSWORD='' "$COSIGN" "$@"
}

sign_cosign() {
  cosign sign-blob --yes --identity-token "$TOKEN" --signing-config "$TRUST/signing_config.json" \
    --trusted-root "$TRUST/trusted_root.json" --bundle "$2" "$1"
}

attest_cosign() {
  cosign attest-blob --yes --identity-token "$TOKEN" --signing-config "$TRUST/signing_config.json" \
    --trusted-root "$TRUST/trusted_root.json" --predicate "$(predicate)" \
    --type "$PREDICATE_TYPE" --bundle "$2" "$1"
}

verify_cosign() {
  # shellcheck disable=SC2046 # one or three words
  cosign $(verify_command "$2") --bundle "$2" --trusted-root "$TRUST/trusted_root.json" \
    --certificate-identity "${3-$IDENTITY}" --certificate-oidc-issuer "$ISSUER" "$1"
}

# Attestations have a command of their own.
verify_command() {
  if grep -q '"dsseEnvelope"' "$1"; then
    echo "verify-blob-attestation --type $PREDICATE_TYPE"
  else
    echo verify-blob
  fi
}

# A bundle without a proof it takes for one of an older format, and refuses that.
REFUSAL_cosign='Error: .*(failed to verify|not enough|invalid|not match|only supported with)'

# With a key the trust files of the log alone suffice.
sign_cosign_key() {
  cosign sign-blob --yes --key "$1" --signing-config "$TRUST_LOG/signing_config.json" \
    --trusted-root "$TRUST_LOG/trusted_root.json" --bundle "$3" "$2"
}

attest_cosign_key() {
  cosign attest-blob --yes --key "$1" --signing-config "$TRUST_LOG/signing_config.json" \
    --trusted-root "$TRUST_LOG/trusted_root.json" --predicate "$(predicate)" \
    --type "$PREDICATE_TYPE" --bundle "$3" "$2"
}

verify_cosign_key() {
  # shellcheck disable=SC2046 # one or three words
  cosign $(verify_command "$3") --key "$1" --bundle "$3" \
    --trusted-root "$TRUST_LOG/trusted_root.json" "$2"
}

check_cosign() {
  local keys=$WORK/cosign-keys
  mkdir -p "$keys"
  check cosign "makes a key pair" cosign generate-key-pair --output-key-prefix "$keys/own"
  check cosign "makes another" cosign generate-key-pair --output-key-prefix "$keys/other"
  check cosign "imports an RSA key" cosign import-key-pair --yes --key "$STANDIN/rsa.pem" \
    --output-key-prefix "$keys/rsa"
  check_cosign_key "$keys" own "with an ECDSA key"
  check_cosign_key "$keys" rsa "with an RSA key"
  # RSA signatures are deterministic: to sign again is to submit the same entry again.
  check cosign "signs the same again, at the same index" sign_cosign_again "$keys"

  local bundle=$WORK/bundles/cosign.json attestation=$WORK/attestations/cosign.json
  check cosign "signs a file" sign_cosign "$ARTIFACT" "$bundle"
  check_verifier cosign "$bundle" "it"
  check cosign "attests" attest_cosign "$ARTIFACT" "$attestation"
  check_verifier cosign "$attestation" "the attestation"
}

check_cosign_key() {
  local keys=$1 name=$2 what=$3
  local bundle=$WORK/bundles/cosign-$name-key.bundle
  local attestation=$WORK/attestations/cosign-$name-key.bundle
  check cosign "signs $what" sign_cosign_key "$keys/$name.key" "$ARTIFACT" "$bundle"
  check_key_verifier cosign "$keys/$name.pub" "$keys/other.pub" "$bundle" "what it signed $what"
  check cosign "attests $what" attest_cosign_key "$keys/$name.key" "$ARTIFACT" "$attestation"
  check_key_verifier cosign "$keys/$name.pub" "$keys/other.pub" "$attestation" \
    "what it attested $what"
}

sign_cosign_again() {
  local first=$WORK/bundles/cosign-rsa-key.bundle again=$WORK/again.bundle
  sign_cosign_key "$1/rsa.key" "$ARTIFACT" "$again" &&
    verify_cosign_key "$1/rsa.pub" "$ARTIFACT" "$again" &&
    [ "$(log_index "$first")" = "$(log_index "$again")" ]
}

# log_index BUNDLE: the index that the log gave.
log_index() {
  grep -o '"logIndex": *"[0-9]*"' "$1" | head -n 1 | grep -o '[0-9]*'
}
