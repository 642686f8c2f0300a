# sigstore-python: keyless, with the configuration that `cairn trust export` wrote as one file.

sigstore_python() {
  "$PYTHON_HOME/bin/sigstore" --trust-config "$TRUST/trust_config.json" "$@"
}

# sign_CLIENT ARTIFACT BUNDLE [VERSION]: into the log of Rekor v2, or of that version.
sign_sigstore_python() {
  sigstore_python sign --identity-token "$(cat "$TOKEN")" --bundle "$2" --overwrite \
    --rekor-version "${3-2}" "$1"
}

attest_sigstore_python() {
  sigstore_python attest --identity-token "$(cat "$TOKEN")" --bundle "$2" --overwrite \
    --rekor-version "${3-2}" \
    --predicate-type https://slsa.dev/provenance/v1 --predicate "$(predicate)" "$1"
}

# verify_CLIENT ARTIFACT BUNDLE [IDENTITY]
verify_sigstore_python() {
  sigstore_python verify identity --bundle "$2" --offline \
    --cert-identity "${3-$IDENTITY}" --cert-oidc-issuer "$ISSUER" "$1"
}

REFUSAL_sigstore_python='FAIL: |Verification failed|VerificationError|bundle is malformed'

check_sigstore_python() {
  local bundle=$WORK/bundles/sigstore-python.json
  local attestation=$WORK/attestations/sigstore-python.json
  check sigstore-python "signs a file" sign_sigstore_python "$ARTIFACT" "$bundle"
  check_verifier sigstore-python "$bundle" "it"
  check sigstore-python "attests" attest_sigstore_python "$ARTIFACT" "$attestation"
  check_verifier sigstore-python "$attestation" "the attestation"
  bundle=$WORK/bundles-v1/sigstore-python-hashedrekord.json
  attestation=$WORK/bundles-v1/sigstore-python-dsse.json
  check sigstore-python "signs a file with Rekor v1" sign_sigstore_python "$ARTIFACT" "$bundle" 1
  check_verifier sigstore-python "$bundle" "that"
  check sigstore-python "attests with Rekor v1" attest_sigstore_python "$ARTIFACT" "$attestation" 1
  check_verifier sigstore-python "$attestation" "that attestation"
}
