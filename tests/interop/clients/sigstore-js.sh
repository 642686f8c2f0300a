# sigstore-js: keyless through its libraries, with their default time limit of 5 s for an answer;
# Rekor v2 as a signing configuration has it, Rekor v1 as npm and others ask for it.

sigstore_js() {
  node "$JS_HOME/client.mjs" "$@"
}

sign_sigstore_js() {
  sigstore_js sign messageSignature "$TRUST" "$TOKEN" "$1" "$2"
}

# Sends the older dsse request, as this library does to this day.
attest_sigstore_js() {
  sigstore_js sign dsseEnvelope "$TRUST" "$TOKEN" "$1" "$2"
}

# sign_sigstore_js_v1 KIND BUNDLE: an entry of that kind, in the log of Rekor v1.
sign_sigstore_js_v1() {
  sigstore_js sign-v1 "$1" "$TRUST" "$TOKEN" "$ARTIFACT" "$2"
}

verify_sigstore_js() {
  sigstore_js verify "$TRUST" "$1" "$2" "${3-$IDENTITY}" "$ISSUER"
}

REFUSAL_sigstore_js='(Verification|Policy|Validation)Error|another file|invalid (v0.. )?bundle'

check_sigstore_js() {
  local bundle=$WORK/bundles/sigstore-js.json
  local attestation=$WORK/attestations/sigstore-js.json kind
  check sigstore-js "signs a file" sign_sigstore_js "$ARTIFACT" "$bundle"
  check_verifier sigstore-js "$bundle" "it"
  check sigstore-js "attests, with a dsse request" attest_sigstore_js "$ARTIFACT" "$attestation"
  check_verifier sigstore-js "$attestation" "the attestation"
  for kind in hashedrekord dsse intoto; do
    bundle=$WORK/bundles-v1/sigstore-js-$kind.json
    check sigstore-js "logs a $kind entry with Rekor v1" sign_sigstore_js_v1 "$kind" "$bundle"
    check_verifier sigstore-js "$bundle" "the $kind entry"
  done
}
