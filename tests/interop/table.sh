# Runs single checks, says at once how each went, and adds them up. Sourced by checks.

RESULTS=()

# What a program says that was called wrongly, or fell over: never the refusal that is looked for.
MISUSE='no such file|ENOENT|unknown (flag|option|command)|usage:|panicked|Traceback'

# check CLIENT WHAT COMMAND...: the command has to succeed.
check() {
  local client=$1 what=$2
  shift 2
  attempt "$@"
  if [ "$STATUS" = 0 ]; then
    record ok "$client" "$what" "$TOOK"
  else
    record FAIL "$client" "$what" "$TOOK"
    show "exited $STATUS and said"
  fi
}

# refuse CLIENT WHAT PATTERN COMMAND...: the command has to exit with 1, as all of these do when
# they mean no, and to say PATTERN (an extended regular expression), so that a mistake in the
# command line does not pass for a refusal.
refuse() {
  local client=$1 what=$2 pattern=$3
  shift 3
  attempt "$@"
  if [ "$STATUS" = 1 ] && grep -qEi -- "$pattern" "$OUTPUT" &&
    ! grep -qEi "$MISUSE" "$OUTPUT"; then
    record ok "$client" "refuses $what" "$TOOK"
  else
    record FAIL "$client" "refuses $what" "$TOOK"
    show "exited $STATUS, should refuse with '$pattern', said"
  fi
}

# attempt COMMAND... leaves its exit status, the time it took in ms, and its output in a file.
attempt() {
  local started=${EPOCHREALTIME/[.,]/}
  OUTPUT=$WORK/outputs/${#RESULTS[@]}
  STATUS=0
  timeout_guard "$@" >"$OUTPUT" 2>&1 </dev/null || STATUS=$?
  TOOK=$(((${EPOCHREALTIME/[.,]/} - started) / 1000))
}

# A client that hangs must not hang the run. Functions cannot be given to timeout(1), so a watchdog
# ends the process group.
timeout_guard() {
  local seconds=${CHECK_SECONDS-120} pid watchdog status=0
  set -m
  ("$@") &
  pid=$!
  (sleep "$seconds" && echo "stopped after $seconds s" && kill -- "-$pid") 2>/dev/null &
  watchdog=$!
  set +m
  wait "$pid" || status=$?
  kill -KILL -- "-$watchdog" 2>/dev/null || true
  wait "$watchdog" 2>/dev/null || true
  return "$status"
}

record() {
  RESULTS+=("$1|$2")
  printf '%-4s  %-16s %-62s %6s ms\n' "$@"
}

show() {
  printf '      %s:\n' "$1"
  tail -n 20 "$OUTPUT" | cut -c1-400 | sed 's/ *$//; s/^/      | /'
}

# table prints the sums and fails if any check did, or if there were none.
table() {
  local client result passed failed all_passed=0 all_failed=0
  printf '\n%-16s %8s %8s\n' client passed failed
  for client in $(printf '%s\n' "${RESULTS[@]}" | cut -d'|' -f2 | awk '!seen[$0]++'); do
    passed=0 failed=0
    for result in "${RESULTS[@]}"; do
      case "$result" in
        "ok|$client") passed=$((passed + 1)) ;;
        "FAIL|$client") failed=$((failed + 1)) ;;
      esac
    done
    printf '%-16s %8d %8d\n' "$client" "$passed" "$failed"
    all_passed=$((all_passed + passed)) all_failed=$((all_failed + failed))
  done
  printf '\n%d passed, %d failed\n' "$all_passed" "$all_failed"
  [ "$all_failed" = 0 ] && [ "$all_passed" -gt 0 ]
}
