# Our own command line, as one more client: what it signs, cosign and the sigstore crates have to
# accept (see crossing.sh), and it has to verify what they sign.

cairn() {
  "$CAIRN_BIN/cairn" "$@"
}

verify_cairn() {
  cairn verify --bundle "$2" --trusted-root "$TRUST/trusted_root.json" \
    --certificate-identity "${3-$IDENTITY}" --certificate-oidc-issuer "$ISSUER" "$1"
}

verify_cairn_key() {
  cairn verify --bundle "$3" --trusted-root "$TRUST_LOG/trusted_root.json" --key "$1" "$2"
}

REFUSAL_cairn='^cairn: '

check_cairn() {
  local bundle=$WORK/bundles/cairn-key.bundle
  check cairn "makes a key" cairn keygen --out "$WORK/cairn.key"
  check cairn "makes another" cairn keygen --out "$WORK/cairn-other.key"
  check cairn "signs and submits a file" \
    cairn submit --url "$URL" --key "$WORK/cairn.key" --bundle "$bundle" "$ARTIFACT"
  check_key_verifier cairn "$WORK/cairn.key.pub" "$WORK/cairn-other.key.pub" "$bundle" "it"
}
