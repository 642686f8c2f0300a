#!/usr/bin/env bash
# Builds RocksDB once for this machine, from the sources of the librocksdb-sys version in Cargo.lock, so that every
# cargo profile links one static library instead of compiling 342 C++ files each.
#
#   eval "$(ops/rocksdb/build.sh)"      builds if needed, then prints the variables cargo has to see
#
# The files are compiled in units of twenty: reading the headers dominates the cost, so this takes a quarter of the
# time of the crate's own build. If anything fails, the reason goes to stderr, nothing is printed for cargo, the status
# is still 0, and the crate builds its own copy.
set -euo pipefail
cd "$(dirname "$0")/../.."

FILES_PER_UNIT=20
# Part of the library's key: raise it when a change here should build the library anew.
RECIPE=1
# What one compiler needs at its peak; more jobs than memory carries would end in the out-of-memory killer.
COMPILER_MEMORY_MIB=1300

say() { printf 'rocksdb: %s\n' "$*" >&2; }

fall_back() {
  say "WARNING: $1"
  say "WARNING: cargo builds the crate's own copy instead; that takes about 25 minutes for each profile"
  exit 0
}

work=""
# Whatever ends the script, nobody is left with half a library or with silence.
finish() {
  status=$?
  [ -z "$work" ] || rm -rf "$work"
  [ "$status" -eq 0 ] || fall_back "the build script stopped unexpectedly (status $status)"
}
trap finish EXIT
# Ends by the signal itself, so that the caller stops as well instead of starting the long build.
stop() {
  trap - EXIT "$1"
  [ -z "$work" ] || rm -rf "$work"
  kill -s "$1" $$
}
trap 'stop INT' INT
trap 'stop TERM' TERM

[ "$(uname -s)" = Linux ] || fall_back "this script knows Linux only"

# A prebuilt libclang lacks clang's own headers (stddef.h and the like); those of the C compiler serve as well.
if [ -n "${LIBCLANG_PATH:-}" ] && [ -z "${BINDGEN_EXTRA_CLANG_ARGS:-}" ] && command -v gcc >/dev/null; then
  printf 'export BINDGEN_EXTRA_CLANG_ARGS=%q\n' "-I$(gcc -print-file-name=include)"
fi

# Asks cargo, which downloads the sources if they are not here yet. Not --locked: the cargo call that follows would
# bring the lock file up to date too, and `make test` checks it.
metadata=$(cargo metadata --format-version 1) || fall_back "cargo metadata failed"

crate_dir() {
  local manifest
  manifest=$(grep -o -m 1 "\"manifest_path\":\"[^\"]*/$1-[0-9][^\"/]*/Cargo.toml\"" <<<"$metadata") || return 0
  manifest=${manifest%%$'\n'*}
  manifest=${manifest#*:\"}
  dirname "${manifest%\"}"
}

sys=$(crate_dir librocksdb-sys)
lz4=$(crate_dir lz4-sys)
[ -n "$sys" ] && [ -n "$lz4" ] || fall_back "the sources of librocksdb-sys and lz4-sys were not found"

flags="-std=c++20 -O2 -g0 -fPIC -w -include cstdint"
case "$(uname -m)" in
  x86_64) flags="$flags -msse4.2 -mpclmul" ;;
  aarch64) flags="$flags -march=armv8-a+crc+aes+crypto" ;;
esac
# The platform defines that the crate's own build script sets for Linux.
for define in LZ4=1 NDEBUG=1 HAVE_ALIGNED_NEW HAVE_UINT128_EXTENSION OS_LINUX ROCKSDB_PLATFORM_POSIX \
  ROCKSDB_LIB_IO_POSIX ROCKSDB_SCHED_GETCPU_PRESENT ROCKSDB_AUXV_GETAUXVAL_PRESENT \
  ROCKSDB_FALLOCATE_PRESENT ROCKSDB_RANGESYNC_PRESENT; do
  flags="$flags -D$define"
done

cxx=${CXX:-g++}
command -v "$cxx" >/dev/null || fall_back "no C++ compiler ($cxx): run make setup"
version=$(basename "$sys")
key=$(printf '%s\n' "$flags" "$("$cxx" --version | head -n 1)" "$RECIPE" | sha256sum | cut -c1-12)
out="${XDG_CACHE_HOME:-$HOME/.cache}/cairn/rocksdb-${version#librocksdb-sys-}-$key"

announce() {
  printf 'export ROCKSDB_LIB_DIR=%q ROCKSDB_STATIC=1\n' "$out"
}

refuse_after_failure() {
  [ ! -f "$out/failed" ] || fall_back "an earlier build failed; remove $out/failed to try again"
}

# The library is complete once it has its final name: it is renamed into place as the last act.
if [ -f "$out/librocksdb.a" ]; then announce; exit 0; fi
refuse_after_failure

mkdir -p "$out" || fall_back "cannot create $out"
exec 9>"$out/lock"
flock -n 9 || { say "waiting for the build that another process has under way"; flock 9; }
if [ -f "$out/librocksdb.a" ]; then announce; exit 0; fi
refuse_after_failure

jobs=$(nproc)
memory_mib=$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
[ $((jobs * COMPILER_MEMORY_MIB)) -le "$memory_mib" ] || jobs=$((memory_mib / COMPILER_MEMORY_MIB))
[ "$jobs" -ge 1 ] || jobs=1

rm -rf "$out"/work.* # of a build that was killed: the lock is ours, so nobody uses it
work=$(mktemp -d "$out/work.XXXXXX")
unit=0 count=0
while read -r source; do
  case "$source" in "" | util/build_version.cc) continue ;; esac
  if [ $((count % FILES_PER_UNIT)) -eq 0 ]; then unit=$((unit + 1)); fi
  count=$((count + 1))
  printf '#include "%s/rocksdb/%s"\n' "$sys" "$source" >>"$work/unit$(printf '%02d' "$unit").cc"
done <"$sys/rocksdb_lib_sources.txt"
printf '#include "%s/build_version.cc"\n' "$sys" >"$work/unit_version.cc"

say "building $version from $count files in $unit units, $jobs at a time (once for this machine, about 7 minutes on 2 cores)"
compile="$cxx $flags -I$sys/rocksdb/include -I$sys/rocksdb -I$sys -I$lz4/liblz4/lib"
started=$SECONDS
# Status 255 makes xargs stop at the first unit that fails. Standard output belongs to the caller's eval.
if ! find "$work" -name '*.cc' | sort | xargs -P "$jobs" -I{} sh -c \
  'c={}; '"$compile"' -c "$c" -o "${c%.cc}.o" && echo "rocksdb: $(basename "$c" .cc) done" || exit 255' >&2; then
  date >"$out/failed"
  fall_back "a unit failed to compile (see above)"
fi
ar crs "$work/librocksdb.a" "$work"/*.o
mv "$work/librocksdb.a" "$out/librocksdb.a"
say "built in $((SECONDS - started)) s: $out/librocksdb.a"
announce
