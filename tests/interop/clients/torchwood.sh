# torchwood, the library under litewitness and under logs: it has to open what both witnesses have
# cosigned by its own reading of our policy, and to verify the proofs that our log hands out. It
# knows Ed25519 cosignatures only; the ML-DSA ones are verified with transparency-dev/formats, in
# `cosigned`.

# Called by litewitness, whose logs it reads, when these have 12 and 2,000 entries.
check_torchwood() {
  local checkpoint=$WORK/rekor-v2.checkpoint name
  check torchwood "opens the checkpoint by the policy of the log" \
    "$BUILT/opener" --policy "$WORK/rekor-v2.ed25519" --checkpoint "$checkpoint"
  check torchwood "opens one that two of three have cosigned" \
    "$BUILT/opener" --policy "$WORK/raw.ed25519" --checkpoint "$WORK/raw.checkpoint"
  check torchwood "verifies the proof of an entry with its cosignatures" open_proof 12 12
  refuse torchwood "that proof for another entry" 'inclusion proof verification failed' \
    open_proof 12 11

  refuse torchwood "a checkpoint that a witness of the policy has not cosigned" \
    'policy components satisfied' \
    "$BUILT/opener" --policy "$(policy_with_stranger)" --checkpoint "$checkpoint"
  refuse torchwood "a checkpoint of another log" 'policy components|no verifiable signatures' \
    "$BUILT/opener" --policy "$WORK/raw.ed25519" --checkpoint "$checkpoint"
  for name in cairn litewitness; do
    grep -v "^— $name.example/w " "$checkpoint" >"$WORK/bare.checkpoint" || true
    refuse torchwood "a checkpoint without the line of $name" 'policy components satisfied' \
      "$BUILT/opener" --policy "$WORK/rekor-v2.ed25519" --checkpoint "$WORK/bare.checkpoint"
  done
  grep -v '^— localhost ' "$checkpoint" >"$WORK/bare.checkpoint" || true
  refuse torchwood "a checkpoint with the lines of the witnesses alone" \
    'policy components satisfied' \
    "$BUILT/opener" --policy "$WORK/rekor-v2.ed25519" --checkpoint "$WORK/bare.checkpoint"
  refuse torchwood "a checkpoint without the ML-DSA line of another witness" 'of 5 keys signed' \
    "$BUILT/opener" --policy "$(every_policy_with_stranger)" --every --checkpoint "$checkpoint"
  check torchwood "has our witness cosign a subtree, which formats verifies" sign_subtree
}

# sign_subtree: our witness cosigns a part of the raw log, which formats verifies.
sign_subtree() {
  "$BUILT/subtree" --witness "http://127.0.0.1:$OUR_PORT" --vkey "$(vkey_of ours 06)" \
    --origin raw.example --leaves "$WORK/witnessed-leaves"
}

every_policy_with_stranger() {
  {
    cat "$WORK/rekor-v2.policy"
    echo "witness stranger $(vkey_of stranger 06)"
  } >"$WORK/stranger-every.policy"
  echo "$WORK/stranger-every.policy"
}

# open_proof SIZE OTHER-SIZE: the proof of the one entry, for the canonical body of the other.
open_proof() {
  local body=$WORK/witnessed-file-$2.body
  sed -n 's/.*"canonicalizedBody": *"\([^"]*\)".*/\1/p' "$WORK/witnessed-file-$2.bundle" |
    base64 -d >"$body"
  "$BUILT/opener" --policy "$WORK/rekor-v2.ed25519" --proof "$WORK/witnessed-file-$1.proof" \
    --leaf "$body"
}
