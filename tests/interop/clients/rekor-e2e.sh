# The tests by which Rekor v1's own server is judged, as they come with its sources, against a log
# that is made for them: one test at a time, each by its name. Part of interop-all.

check_rekor_e2e() {
  local package program name reason
  start_e2e_log
  for package in $E2E_PACKAGES; do
    program=$REKOR_E2E/$(tr / _ <<<"$package").test
    for name in $(cd "$REKOR_E2E/tree/$package" && "$program" -test.list '^Test' | grep '^Test'); do
      # The packages' other tests need no server.
      grep -qE "^func $name\(" "$REKOR_E2E/e2e-tests" || continue
      reason=$(does_not_apply "$package" "$name")
      if [ -n "$reason" ]; then
        printf 'n/a   %-16s %s %s: %s\n' rekor-e2e "$package" "$name" "$reason"
        continue
      fi
      CHECK_SECONDS=300 check rekor-e2e "$package $name" e2e "$package" "$program" "$name"
    done
  done
  stop e2e
  rm -f /tmp/pkg-rekor-cli.*.cov # what they count, at a place of their choice
}

# does_not_apply PACKAGE TEST prints why, if so.
does_not_apply() {
  case "$1 $2" in
    "tests TestEntryUpload") echo "waits for a message on Google's Pub/Sub" ;;
    "tests TestDialE2E" | "tests TestNewAPIWithTLS") echo "tests its own Trillian client" ;;
    "tests TestHarness"*) echo "compares two versions of their server by a directory they share" ;;
    *" TestMetricsCounts") echo "reads its server's own metrics, at a fixed port" ;;
    *" TestHostnameInSTH") echo "looks for the name of a container of its server" ;;
    "pkg/types/intoto TestIntoto" | "pkg/types/intoto TestIntotoMultiSig")
      echo "wants the attestation back: Cairn stores none" ;;
  esac
}

# One entry of each kind may be sent, and bodies as large as in their configuration.
start_e2e_log() {
  local port kinds
  kinds='["hashedrekord", "dsse", "intoto", "rekord", "rfc3161", "cose", "tuf", "alpine"'
  kinds+=', "helm", "jar", "rpm"]'
  port=$(free_port)
  E2E_URL=http://localhost:$port
  "$CAIRN_BIN/cairn-server" init --data-dir "$WORK/e2e" --hostname localhost \
    >"$WORK/init.log" 2>&1 || give_up "cairn-server init failed" "$WORK/init.log"
  sed -i "/^name = \"rekor-v1\"/a body_bytes_max = 32792576\\nkinds = $kinds" \
    "$WORK/e2e/cairn.toml"
  start e2e "$CAIRN_BIN/cairn-server" serve --data-dir "$WORK/e2e" \
    --listen "127.0.0.1:$port" --admin 127.0.0.1:0
  wait_for "the log for rekor-e2e" "$WORK/e2e.log" answers "$port" /healthz
}

# e2e PACKAGE PROGRAM TEST
e2e() {
  local home=$WORK/e2e-home
  mkdir -p "$home"
  cp "$REKOR_E2E/tree/rekor-cli" "$home/" && touch "$home.rekor.yaml" &&
    cd "$REKOR_E2E/tree/$1" &&
    HOME=$home REKORTMPDIR=$home REKOR_SERVER=$E2E_URL "$2" -test.v -test.run "^$3\$"
}
