#!/usr/bin/env bash
# The main job, end to end, in a temporary directory: a log under three witnesses. Sign a file and log it, verify it
# offline, see forgeries fail; log it with nothing but curl as a client of Rekor v1, and find it again; lose witnesses
# and see the log fail closed; then play the operator who shows two histories, and see the witnesses refuse and the
# evidence convict.
set -euo pipefail
cd "$(dirname "$0")/.."

bin="$PWD/target/debug"
[ -z "${CARGO_TARGET_DIR:-}" ] || bin=$(realpath "$CARGO_TARGET_DIR")/debug
work=$(mktemp -d "${TMPDIR:-/tmp}/cairn-demo.XXXXXX")
declare -A pids=()
finish() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() {
  printf 'demo: %s\n' "$1" >&2
  [ -z "${2:-}" ] || cat "$2" >&2
  exit 1
}
# Prints a command without its long paths.
announce() {
  local line="$*"
  line=${line/#submit/cairn submit}
  line=${line//$bin\//}
  printf '  $ %s\n' "${line//$work\//}"
}
indent() { sed "s|$work/||g; s/^/    /" | cut -c1-160; }
# Prints a command, then runs it.
show() {
  announce "$@"
  "$@" | indent
}
# Runs a command that has to fail with this status, and prints the reason.
refused() {
  local what=$1 expected=$2 status=0
  shift 2
  announce "$@"
  "$@" >"$work/out" 2>&1 || status=$?
  [ "$status" -eq "$expected" ] || fail "$what: status $status, not $expected" "$work/out"
  printf '  refused: %s\n' "$what"
  tail -n 1 "$work/out" | indent
}

# Starts a program as NAME and waits until it says where it listens; leaves the address in `url`.
url=""
start() {
  local name=$1 port
  shift
  : >"$work/$name.log"
  "$@" 2>>"$work/$name.log" &
  pids[$name]=$!
  for _ in $(seq 150); do
    # Looked at first: a program that ended has said by then where it had listened.
    local lives=1
    kill -0 "${pids[$name]}" 2>/dev/null || lives=0
    port=$(sed -n 's/.*serving.* listen="\{0,1\}127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/$name.log")
    if [ -n "$port" ]; then url="http://localhost:$port"; return; fi
    [ $lives = 1 ] || break
    sleep 0.1
  done
  fail "$name did not start" "$work/$name.log"
}
stop() {
  kill "${pids[$1]}" 2>/dev/null || true
  wait "${pids[$1]}" || true
  unset "pids[$1]"
}
start_witness() {
  local port=${witness_port[$1]:-0}
  start "$1" "$bin/cairn-witness" serve --data-dir "$work/$1" --listen "127.0.0.1:$port" --admin 127.0.0.1:0
  witness_port[$1]=${url##*:}
}
start_log() {
  start log "$bin/cairn-server" serve --data-dir "$work/data" --listen 127.0.0.1:0 --admin 127.0.0.1:0
  log_url=$url
}
# Size of the published tree; nothing while the log publishes none.
size() { "$bin/cairn" checkpoint --url "$log_url" --log-vkey "$work/log.vkey" 2>/dev/null | sed -n 2p; }
# Waits until the log has put its question to the witnesses and publishes at least this size.
ready() {
  local now
  for _ in $(seq 100); do
    now=$(size || true)
    if [ -n "$now" ] && [ "$now" -ge "$1" ]; then return; fi
    sleep 0.1
  done
  fail "the log did not publish size $1" "$work/log.log"
}

say "1. A log, and three witnesses that know its key; it publishes only what two of them have seen"
announce cairn-server init --data-dir data --hostname localhost
"$bin/cairn-server" init --data-dir "$work/data" --hostname localhost >"$work/log.vkey" 2>"$work/out"
cat "$work/log.vkey" "$work/out" | indent
declare -A witness_port=()
printf 'log %s\n' "$(cat "$work/log.vkey")" >"$work/data/policy.txt"
for w in w1 w2 w3; do
  announce cairn-witness init --data-dir $w --name "$w.example" --ed25519-only
  vkey=$("$bin/cairn-witness" init --data-dir "$work/$w" --name "$w.example" --ed25519-only)
  announce cairn-witness add-log --data-dir $w "$(cat "$work/log.vkey")"
  "$bin/cairn-witness" add-log --data-dir "$work/$w" "$(cat "$work/log.vkey")" >"$work/out"
  start_witness $w
  printf 'witness %s %s %s\n' $w "$vkey" "$url" >>"$work/data/policy.txt"
done
printf 'group two-of-three 2 w1 w2 w3\nquorum two-of-three\n' >>"$work/data/policy.txt"
sed -i '/^name = "rekor-v2"/a witness_policy = "policy.txt"' "$work/data/cairn.toml"
show "$bin/cairn" policy check "$work/data/policy.txt"
start_log
ready 0
echo "  serving at $log_url"

say "2. Make a key, sign a real file (this repository's LICENSE), log the signature"
cp LICENSE "$work/file"
# An Ed25519 signature is the same each time, and so is the entry when it is submitted again.
show "$bin/cairn" keygen --algorithm ed25519 --out "$work/key"
show "$bin/cairn" trust export --url "$log_url" --out "$work/trust"
submit() { "$bin/cairn" submit --url "$log_url" --key "$work/key" --log-vkey "$work/trust/rekor-v2.vkey" "$@"; }
for other in README.md Makefile; do submit --bundle "$work/$other.bundle" "$other" | indent; done
show submit --bundle "$work/bundle.json" --tlog-proof "$work/proof" "$work/file"

say "3. The log's answer, as it stays verifiable for ever: the log's line, and those of the witnesses"
sed 's/^/    /' "$work/proof" | cut -c1-110

say "4. Verify it offline: the log and every witness are stopped"
for one in log w1 w2 w3; do stop $one; done
verify=("$bin/cairn" verify --trusted-root "$work/trust/trusted_root.json" --key "$work/key.pub")
show "${verify[@]}" --witness-policy "$work/trust/policy.txt" --bundle "$work/bundle.json" "$work/file"

say "5. Forgeries"
{ cat "$work/file"; echo "one more line"; } >"$work/changed-file"
refused "a changed file" 1 "${verify[@]}" --bundle "$work/bundle.json" "$work/changed-file"
# Another index, as a log would have to claim that moved the entry.
sed 's/"logIndex": *"2"/"logIndex":"1"/g' "$work/bundle.json" >"$work/changed-bundle.json"
cmp -s "$work/bundle.json" "$work/changed-bundle.json" && fail "the bundle was not changed"
refused "a changed bundle" 1 "${verify[@]}" --bundle "$work/changed-bundle.json" "$work/file"
sed '/^group/s/ 2 / 3 /' "$work/trust/policy.txt" >"$work/stricter.txt"
refused "a policy that wants all three witnesses" 1 "${verify[@]}" --witness-policy "$work/stricter.txt" \
  --bundle "$work/bundle.json" "$work/file"

say "6. Everything again: read the entry back through the tiles, recompute the whole tree"
for w in w1 w2 w3; do start_witness $w; done
start_log
ready 3
show "$bin/cairn" get --url "$log_url" --log-vkey "$work/trust/rekor-v2.vkey" 2
show "$bin/cairn" fsck --url "$log_url" --log-vkey "$work/trust/rekor-v2.vkey"

say "7. A client of the last five years: a certificate, a signature and plain curl put an entry into the Rekor v1 log"
email=Signer@example.org
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/O=demo" \
  -addext "subjectAltName=email:$email" -keyout "$work/v1.key" -out "$work/v1.crt" 2>"$work/out" ||
  fail "no certificate" "$work/out"
digest=$(sha256sum "$work/file" | cut -d' ' -f1)
signature=$(openssl dgst -sha256 -sign "$work/v1.key" "$work/file" | base64 -w0)
printf '{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"%s"}},
"signature":{"content":"%s","publicKey":{"content":"%s"}}}}' \
  "$digest" "$signature" "$(base64 -w0 "$work/v1.crt")" >"$work/entry.json"
# A POST of a file, or of text, as JSON.
post() { curl -sS --fail-with-body -H 'Content-Type: application/json' --data-binary "$2" "$log_url/api/v1/$1"; }
announce curl -H "'Content-Type: application/json'" --data-binary @entry.json "$log_url/api/v1/log/entries"
post log/entries "@$work/entry.json" >"$work/entry" || fail "curl" "$work/entry"
id=$(cut -d'"' -f2 "$work/entry")
echo "    $id"
for search in "{\"hash\":\"sha256:$digest\"}" "{\"email\":\"${email,,}\"}"; do
  announce curl -H "'Content-Type: application/json'" --data-binary "'$search'" "$log_url/api/v1/index/retrieve"
  found=$(post index/retrieve "$search")
  [ "$found" = "[\"$id\"]" ] || fail "not found: $found"
  indent <<<"$found"
done
announce curl "$log_url/api/v1/log/entries/${id:0:16}..."
curl -sS --fail-with-body "$log_url/api/v1/log/entries/$id" >"$work/entry" || fail "curl" "$work/entry"
member() { sed "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/"; }
body=$(member body <"$work/entry" | base64 -d)
# What the certificate in the entry says about its owner.
identity=$(member content <<<"$body" | base64 -d | openssl x509 -noout -ext subjectAltName | tail -n 1)
{
  echo "kind    $(member kind <<<"$body") $(member apiVersion <<<"$body")"
  echo "index   $(member logIndex <"$work/entry")"
  echo "time    $(date -u -d "@$(member integratedTime <"$work/entry")" +'%F %T') UTC"
  echo "promise $(member signedEntryTimestamp <"$work/entry")"
  echo "sha256  $(member value <<<"$body")"
  echo "signer  ${identity#"${identity%%[![:space:]]*}"}"
} | indent
show "$bin/cairn" search --url "$log_url" --log-key "$work/trust/rekor-v1.pub" --email "$email"

say "8. One witness is lost: the log goes on"
stop w3
show submit --bundle "$work/4.bundle" ARCHITECTURE.md

say "9. Two are lost: no quorum, nothing is published, the submitter is told to come back (503)"
stop w2
refused "an entry that no quorum has seen" 3 submit --bundle "$work/5.bundle" SECURITY.md
[ "$(size)" = 4 ] || fail "something was published without a quorum"
echo "  the published tree still has size 4"

say "10. They are back: the refused entry was kept, and is found, once"
start_witness w2
start_witness w3
ready 5
show submit --bundle "$work/5.bundle" SECURITY.md
[ "$(size)" = 5 ] || fail "the entry is in the log twice"
echo "  the published tree has size 5"

say "11. A dishonest operator: keeps a copy of the log with its keys, and lets the original go on"
stop log
cp -r "$work/data" "$work/copy"
start_log
ready 5
show submit --bundle "$work/6.bundle" CHANGELOG.md
start_copy() {
  start copy "$bin/cairn-server" serve --data-dir "$work/copy" --listen 127.0.0.1:0 --admin 127.0.0.1:0 "$@"
  copy_url=$url
}
# Waits for a line in the copy's log and prints what it says.
copy_says() {
  for _ in $(seq 100); do
    grep -q "$1" "$work/copy.log" && break
    sleep 0.1
  done
  grep -m 1 "$1" "$work/copy.log" | sed 's/^[^ ]* *[A-Z]* [a-z_:]*: /    /' | cut -c1-200 ||
    fail "the copy does not say: $1" "$work/copy.log"
}
echo "  the copy asks the witnesses before it signs anything, and stays shut:"
start_copy
copy_says 'stays shut'
stop copy

say "12. So the operator skips the question and the witnesses, and shows somebody a second history"
sed '/^witness_policy/d' "$work/copy/cairn.toml" >"$work/alone.toml"
cp "$work/alone.toml" "$work/copy/cairn.toml"
announce cairn-server serve --data-dir copy --unchecked-start rekor-v2
start_copy --unchecked-start rekor-v2
log_url=$copy_url
ready 5
show submit --bundle "$work/forked.bundle" CONTRIBUTING.md
refused "who asks for the witnesses does not believe it" 1 "${verify[@]}" \
  --witness-policy "$work/trust/policy.txt" --bundle "$work/forked.bundle" CONTRIBUTING.md
stop copy

say "13. The operator wants the witnesses' signatures on it: they refuse, and keep the evidence"
cp "$work/data/cairn.toml" "$work/copy/cairn.toml"
start_copy --unchecked-start rekor-v2
copy_says 'fatal'
wait "${pids[copy]}" || true
unset 'pids[copy]'
for w in w1 w2 w3; do
  show "$bin/cairn-witness" list --data-dir "$work/$w"
  show "$bin/cairn-witness" evidence --data-dir "$work/$w"
done
"$bin/cairn-witness" evidence --data-dir "$work/w1" --origin localhost >"$work/fork.tlog-evidence"
cut -c1-110 "$work/fork.tlog-evidence" | indent
show "$bin/cairn" evidence verify "$work/fork.tlog-evidence" --log-vkey "$(cat "$work/log.vkey")"

say "Done: nothing is left behind. An honest log lost nothing; a second history convicts the key that signed it."
