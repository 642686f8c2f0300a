# The tests by which Rekor v1's own server is judged, as they come with its sources, against a log
# that is made for them: one test at a time, each by its name. Part of interop-all.

check_rekor_e2e() {
  local package name
  start_e2e_log
  # The one that wants the log empty.
  check_e2e tests TestIssue1308
  for package in $E2E_PACKAGES; do
    # The packages' other tests need no server.
    for name in $(e2e_program "$package" -test.list '^Test' |
      grep -xFf <(grep -o 'Test[A-Za-z0-9]*' "$REKOR_E2E/e2e-tests")); do
      if [ "$name" != TestIssue1308 ]; then check_e2e "$package" "$name"; fi
    done
  done
  stop e2e
  rm -f /tmp/pkg-rekor-cli.*.cov # what they count, at a place of their choice
}

check_e2e() {
  local reason
  reason=$(does_not_apply "$@")
  if [ -n "$reason" ]; then
    printf 'n/a   %-16s %s %s: %s\n' rekor-e2e "$@" "$reason"
  else
    CHECK_SECONDS=300 check rekor-e2e "$*" e2e "$@"
  fi
}

# does_not_apply PACKAGE TEST prints why, if so.
does_not_apply() {
  case "$2" in
    TestEntryUpload) echo "waits for a message on Google's Pub/Sub" ;;
    TestDialE2E | TestNewAPIWithTLS) echo "is about its server's connection to Trillian" ;;
    TestMetricsCounts) echo "reads the metrics of its server by their names, at a fixed port" ;;
    TestIntoto | TestIntotoMultiSig | TestHarnessAddIntoto)
      echo "wants the attestation back, and Cairn stores none"
      ;;
  esac
}

# e2e PACKAGE TEST: with a home of its own, as rekor-cli remembers logs there. A test that is
# skipped has not passed.
e2e() {
  local home
  home=$(mktemp -d "$WORK/e2e-home.XXXXXX")
  mkdir -p "$WORK/e2e-harness" "$home/bin"
  cp "$REKOR_E2E/tree/rekor-cli" "$home/" && touch "$home.rekor.yaml" || return
  # One test asks docker for the name that has to stand in tree heads.
  printf '#!/bin/sh\necho localhost\n' >"$home/bin/docker" && chmod +x "$home/bin/docker"
  HOME=$home PATH=$home/bin:$PATH REKORTMPDIR=$home REKOR_HARNESS_TMPDIR=$WORK/e2e-harness \
    REKOR_SERVER=$E2E_URL e2e_program "$1" -test.v -test.run "^$2\$" >"$home/log" 2>&1 ||
    { cat "$home/log" && return 1; }
  cat "$home/log"
  grep -q -- "^--- PASS: $2" "$home/log"
}

# e2e_program PACKAGE OPTION...: they look for files beside their source.
e2e_program() (
  cd "$REKOR_E2E/tree/$1" && exec "$REKOR_E2E/$(tr / _ <<<"$1").test" "${@:2}"
)

# Every kind of entry may be sent, and bodies as large as in their configuration.
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
