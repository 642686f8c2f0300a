# The sigstore crates: keyless, and the strictest about what a log answers.

sigstore_rust() {
  "$BUILT/debug/cairn-interop-rust" "$@"
}

sign_sigstore_rust() {
  sigstore_rust sign "$TRUST" "$TOKEN" "$1" "$2"
}

attest_sigstore_rust() {
  sigstore_rust attest "$TRUST" "$TOKEN" "$1" "$2"
}

verify_sigstore_rust() {
  sigstore_rust verify "$TRUST" "$1" "$2" "${3-$IDENTITY}" "$ISSUER"
}

# verify_CLIENT_key KEY ARTIFACT BUNDLE
verify_sigstore_rust_key() {
  sigstore_rust verify-key "$TRUST_LOG" "$2" "$3" "$1"
}

REFUSAL_sigstore_rust='verif|mismatch|invalid|not match|expected|Bundle error'

check_sigstore_rust() {
  local bundle=$WORK/bundles/sigstore-rust.json
  local attestation=$WORK/attestations/sigstore-rust.json
  check sigstore-rust "signs a file" sign_sigstore_rust "$ARTIFACT" "$bundle"
  check_verifier sigstore-rust "$bundle" "it"
  check sigstore-rust "attests" attest_sigstore_rust "$ARTIFACT" "$attestation"
  check_verifier sigstore-rust "$attestation" "the attestation"
  check sigstore-rust "reads checkpoint, tile and bundle" sigstore_rust read "$URL"
}
