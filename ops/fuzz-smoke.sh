#!/usr/bin/env bash
# Builds every fuzz target of log-core and log-server on the stable toolchain and runs each for
# $FUZZ_SECONDS (default 3), from its seeds and from what earlier runs found. Needs a C++ compiler
# for libFuzzer, neither cargo-fuzz nor nightly. Exit 1: a target failed; its input is named.
# With arguments, only these targets.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-3}
out=$PWD/target/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')

# The server links RocksDB; `make` has found the library already.
[ -n "${ROCKSDB_LIB_DIR:-}" ] || eval "$(ops/rocksdb/build.sh)"

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

build() {
  RUSTFLAGS="${flags[*]}" cargo build --quiet --locked --release --target "$host" \
    --manifest-path "$1/Cargo.toml" --target-dir "$out"
}

# Runs one target of a directory; status 1 if it failed.
run() {
  local fuzz=$1 target=$2 log=$out/$2.log inputs counters runs coverage
  mkdir -p "$out/corpus/$target" "$out/artifacts/$target"
  inputs=("$out/corpus/$target")
  if [ -d "$fuzz/seeds/$target" ]; then inputs+=("$fuzz/seeds/$target"); fi
  if ! "$out/$host/release/$target" "${inputs[@]}" -artifact_prefix="$out/artifacts/$target/" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "fuzz-smoke: $target FAILED; its input is under target/fuzz/artifacts/$target/" >&2
    return 1
  fi
  # Without counters libFuzzer still runs, blindly. That would be a smoke test of nothing.
  counters=$(sed -n 's/.*Loaded [0-9]* modules *(\([0-9]*\) inline 8-bit counters).*/\1/p' "$log")
  if [ "${counters:-0}" -lt 100 ]; then
    echo "fuzz-smoke: $target has ${counters:-no} coverage counters; the compiler dropped them" >&2
    exit 1
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(sed -n 's/.*DONE *cov: \([0-9]*\).*/\1/p' "$log")
  printf 'fuzz-smoke: %-14s %9s runs, %5s of %s edges\n' \
    "$target" "$runs" "$coverage" "$counters"
}

failed=0 ran=0
for fuzz in log-core/fuzz log-server/fuzz; do
  targets=()
  for file in "$fuzz"/fuzz_targets/*.rs; do
    target=$(basename "$file" .rs)
    if [ $# -eq 0 ] || [[ " $* " == *" $target "* ]]; then targets+=("$target"); fi
  done
  [ ${#targets[@]} -gt 0 ] || continue
  build "$fuzz"
  for target in "${targets[@]}"; do
    run "$fuzz" "$target" || failed=1
    ran=$((ran + 1))
  done
done
if [ $# -gt 0 ] && [ "$ran" -ne $# ]; then
  echo "fuzz-smoke: $# targets asked for, $ran known" >&2
  exit 1
fi
exit "$failed"
