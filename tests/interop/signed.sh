# Makes signed things of every sort that a Rekor v1 log takes, with programs that know nothing of
# such logs. Sourced by checks.

# make_signed: once a run; $SIGNED holds them all.
make_signed() {
  [ -z "${SIGNED-}" ] || return 0
  SIGNED=$WORK/signed
  mkdir "$SIGNED"
  {
    make_x509_signed && make_ssh_signed && make_minisign_signed && make_pgp_signed &&
      make_envelope "$SIGNED/envelope.json" "$SIGNED/x509.key" "$(statement "$ARTIFACT")" &&
      make_forged
  } >"$WORK/signed.log" 2>&1 ||
    give_up "what is to be uploaded could not be made" "$WORK/signed.log"
}

# A bare key, a certificate that names a mail address and a workload, and what both signed.
make_x509_signed() {
  local name
  for name in x509 other certified; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$SIGNED/$name.key" &&
      openssl pkey -in "$SIGNED/$name.key" -pubout -out "$SIGNED/$name.pub" || return
  done
  openssl req -x509 -new -key "$SIGNED/certified.key" -days 1 -subj '/CN=signer' \
    -addext "subjectAltName=email:$IDENTITY,URI:$WORKLOAD" -out "$SIGNED/certificate.pem" &&
    openssl dgst -sha256 -sign "$SIGNED/x509.key" -out "$SIGNED/x509.sig" "$ARTIFACT" &&
    openssl dgst -sha256 -sign "$SIGNED/certified.key" -out "$SIGNED/certified.sig" "$ARTIFACT"
}

make_ssh_signed() {
  ssh-keygen -q -t ed25519 -N '' -C dev -f "$SIGNED/ssh" &&
    ssh-keygen -q -Y sign -n file -f "$SIGNED/ssh" <"$ARTIFACT" >"$SIGNED/ssh.sig"
}

# minisign signs the BLAKE2b hash of a file, then that signature together with a comment.
make_minisign_signed() {
  local dir=$SIGNED/minisign comment='trusted comment: made for a test' id=cairn-id
  mkdir "$dir" && openssl genpkey -algorithm ed25519 -out "$dir/key" &&
    openssl dgst -blake2b512 -binary -out "$dir/hash" "$ARTIFACT" &&
    sign_ed25519 "$dir/key" "$dir/hash" "$dir/sig" &&
    { cat "$dir/sig" && printf '%s' "${comment#*: }"; } >"$dir/both" &&
    sign_ed25519 "$dir/key" "$dir/both" "$dir/both.sig" || return
  {
    echo 'untrusted comment: minisign public key'
    { printf 'Ed%s' "$id" && openssl pkey -in "$dir/key" -pubout -outform DER | tail -c 32; } |
      base64 -w 0 && echo
  } >"$SIGNED/minisign.pub"
  {
    echo 'untrusted comment: signature'
    { printf 'ED%s' "$id" && cat "$dir/sig"; } | base64 -w 0 && echo
    echo "$comment"
    base64 -w 0 <"$dir/both.sig" && echo
  } >"$SIGNED/minisign.sig"
}

# sign_ed25519 KEY FILE SIGNATURE
sign_ed25519() {
  openssl pkeyutl -sign -inkey "$1" -rawin -in "$2" -out "$3"
}

# Its agent ends with it.
make_pgp_signed() {
  local gpg=(gpg --homedir "$SIGNED/gnupg" --batch --yes --quiet --passphrase '')
  mkdir -m 700 "$SIGNED/gnupg" &&
    "${gpg[@]}" --quick-generate-key "Developer <$PGP_IDENTITY>" ed25519 sign never &&
    "${gpg[@]}" --armor --output "$SIGNED/pgp.pub" --export "$PGP_IDENTITY" &&
    "${gpg[@]}" --armor --output "$SIGNED/pgp.sig" --detach-sign "$ARTIFACT" || return
  gpgconf --homedir "$SIGNED/gnupg" --kill all
}

# statement FILE prints an in-toto statement about it.
statement() {
  printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"%s","digest":{"sha256":' \
    "$(basename "$1")"
  printf '"%s"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}' "$(sha256 "$1")"
}

# make_envelope FILE KEY PAYLOAD makes a DSSE envelope of a statement.
make_envelope() {
  local type=application/vnd.in-toto+json signature
  printf 'DSSEv1 %d %s %d %s' "${#type}" "$type" "${#3}" "$3" >"$1.signed"
  signature=$(openssl dgst -sha256 -sign "$2" "$1.signed" | base64 -w 0) || return
  printf '{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"","sig":"%s"}]}' \
    "$(printf '%s' "$3" | base64 -w 0)" "$type" "$signature" >"$1"
}

# The signature of one envelope under the payload of another, and a timestamp that nobody signed.
make_forged() {
  local signature
  signature=$(grep -o '"sig":"[^"]*"' "$SIGNED/envelope.json") &&
    make_envelope "$SIGNED/other.json" "$SIGNED/x509.key" "$(statement "$OTHER_ARTIFACT")" &&
    sed "s|\"sig\":\"[^\"]*\"|$signature|" "$SIGNED/other.json" >"$SIGNED/forged.json" &&
    { head -c -8 "$STANDIN/stamp.tsr" && printf 'forgery!'; } >"$SIGNED/forged.tsr"
}

sha256() {
  sha256sum "$1" | cut -d' ' -f1
}
