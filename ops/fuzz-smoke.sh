#!/usr/bin/env bash
# Builds every fuzz target of log-core on the stable toolchain and runs each for $FUZZ_SECONDS
# (default 3), from its seeds and from what earlier runs found. Needs a C++ compiler for libFuzzer,
# neither cargo-fuzz nor nightly. Exit 1: a target failed; its input is named.
# With arguments, only these targets.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-3}
fuzz=log-core/fuzz
out=$PWD/target/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')

# Coverage feedback without a sanitizer: counters per edge and the operands of comparisons, put in
# by an LLVM pass that the stable compiler can run. --target keeps the flags off build scripts,
# which have no fuzzer to link with.
flags=(
  --cfg fuzzing
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares
)
RUSTFLAGS="${flags[*]}" cargo build --quiet --locked --release --target "$host" \
  --manifest-path "$fuzz/Cargo.toml" --target-dir "$out"

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for file in "$fuzz"/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

failed=0
for target in "${targets[@]}"; do
  mkdir -p "$out/corpus/$target" "$out/artifacts/$target"
  inputs=("$out/corpus/$target")
  if [ -d "$fuzz/seeds/$target" ]; then inputs+=("$fuzz/seeds/$target"); fi
  log=$out/$target.log
  if ! "$out/$host/release/$target" "${inputs[@]}" -artifact_prefix="$out/artifacts/$target/" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "fuzz-smoke: $target FAILED; its input is under target/fuzz/artifacts/$target/" >&2
    failed=1
    continue
  fi
  # Without counters libFuzzer still runs, blindly. That would be a smoke test of nothing.
  counters=$(sed -n 's/.*Loaded [0-9]* modules *(\([0-9]*\) inline 8-bit counters).*/\1/p' "$log")
  if [ "${counters:-0}" -lt 100 ]; then
    echo "fuzz-smoke: $target has ${counters:-no} coverage counters; the compiler dropped them" >&2
    exit 1
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(sed -n 's/.*DONE *cov: \([0-9]*\).*/\1/p' "$log")
  printf 'fuzz-smoke: %-12s %9s runs, %5s of %s edges\n' \
    "$target" "$runs" "$coverage" "$counters"
done
exit "$failed"
