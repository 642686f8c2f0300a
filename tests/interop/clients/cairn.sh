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
  bundle=$WORK/bundles/cairn-v1-key.bundle
  check cairn "signs a file for Rekor v1" cairn submit --api v1 --url "$URL" \
    --key "$WORK/cairn.key" --trusted-root "$TRUST_LOG/trusted_root.json" --bundle "$bundle" \
    --kind hashedrekord "$ARTIFACT"
  check_key_verifier cairn "$WORK/cairn.key.pub" "$WORK/cairn-other.key.pub" "$bundle" "that"
}

# cairn_get_v1 ID INDEX: an entry of the log of Rekor v1, by the API and by the tiles.
cairn_get_v1() {
  local key=(--log-key "$TRUST_LOG/rekor-v1.pub")
  cairn get --url "$URL" "${key[@]}" --uuid "$1" &&
    cairn get --url "$URL" "${key[@]}" --api v1 "$2" &&
    cairn get --url "$URL" --log rekor-v1 --log-vkey "$TRUST_LOG/rekor-v1.vkey" \
      --origin "$V1_ORIGIN" "$2"
}
