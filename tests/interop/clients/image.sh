# The library of podman, CRI-O and skopeo: it signs an image, logs that with Rekor v1, and a policy
# lets in only what such a log promised. Part of interop-all.

image() {
  "$BUILT/image" "$@"
}

REFUSAL_image='^image: .*(rejected|signature|Rekor|missing dev.sigstore)'

check_image() {
  local dir=$WORK/image
  mkdir "$dir"
  check image "makes a key pair" image keygen "$dir/own"
  check image "makes another" image keygen "$dir/other"
  check image "signs an image and logs that" image sign "$dir/own.key" "$URL" "$dir/signed"
  check image "lets it in" image verify "$dir/own.pub" "$TRUST/rekor-v1.pub" "$dir/signed"
  refuse image "an image that another key signed" "$REFUSAL_image" \
    image verify "$dir/other.pub" "$TRUST/rekor-v1.pub" "$dir/signed"
  refuse image "an image that another log promised" "$REFUSAL_image" \
    image verify "$dir/own.pub" "$dir/other.pub" "$dir/signed"
  cp -r "$dir/signed" "$dir/later"
  sed -Ei 's/(integratedTime[^0-9]*)1/\12/' "$dir/later/signature-1"
  refuse image "a promise with another time" "$REFUSAL_image" \
    image verify "$dir/own.pub" "$TRUST/rekor-v1.pub" "$dir/later"
  cp -r "$dir/signed" "$dir/unpromised"
  sed -i 's|dev.sigstore.cosign/bundle|dev.sigstore.cosign/other|' "$dir/unpromised/signature-1"
  refuse image "an image without a promise" "$REFUSAL_image" \
    image verify "$dir/own.pub" "$TRUST/rekor-v1.pub" "$dir/unpromised"
  check image "passes its own test of the log, with the words of each refusal" \
    image_own_test
}

# It reads its data from beside its source.
image_own_test() {
  cd "$IMAGE_SOURCE/signature/sigstore/rekor" &&
    REKOR_SERVER_URL=$URL "$BUILT/image-rekor.test" -test.v -test.run Test_rekorUploadKeyOrCert |
    tee "$WORK/image/test.log" && ! grep -q SKIP "$WORK/image/test.log"
}
