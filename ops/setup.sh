#!/usr/bin/env bash
# Looks for what the build needs beside Rust: git, make, a C++ compiler and libclang (for the RocksDB bindings); and for
# curl and openssl, with which the demo plays a client. On Debian, as root, it installs what is missing; anywhere else
# it says in one line what is missing and what to do.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()  # what is missing, in words
packages=() # the Debian packages that hold it

need() { # WHAT PACKAGE
  missing+=("$1")
  packages+=("$2")
}

has_libclang() {
  local file
  # LIBCLANG_PATH names the library or its directory: a prebuilt one is as good as the system's.
  for file in "${LIBCLANG_PATH:-}" "${LIBCLANG_PATH:-}"/libclang{.so,-[0-9]}*; do
    [ -n "${LIBCLANG_PATH:-}" ] && [ -f "$file" ] && return 0
  done
  for file in /usr/lib/llvm*/lib /usr/lib64/llvm*/lib /usr/lib/*-linux-gnu /usr/local/lib /usr/lib64 /usr/lib; do
    compgen -G "$file/libclang.so*" >/dev/null && return 0
    compgen -G "$file/libclang-[0-9]*.so*" >/dev/null && return 0
  done
  return 1
}

look() {
  missing=() packages=()
  command -v git >/dev/null || need "git" git
  command -v make >/dev/null || need "make" make
  command -v "${CXX:-g++}" >/dev/null || need "a C++ compiler (${CXX:-g++})" g++
  command -v "${CC:-cc}" >/dev/null || need "a C compiler (${CC:-cc})" gcc
  has_libclang || need "libclang" libclang-dev
  command -v curl >/dev/null || need "curl" curl
  command -v openssl >/dev/null || need "openssl" openssl
}

# Some tests fake the time of day. Without this they are skipped and say so, so it is never insisted on.
has_faketime() { compgen -G "/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null; }

# The oldest Rust that the workspace compiles with.
check_rust() {
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
    echo "setup: Rust $wanted or newer is missing: install it from https://rustup.rs and run make again" >&2
    return 1
  fi
  # Under rustup this installs the toolchain of rust-toolchain.toml, and says so on stderr.
  if ! found=$(rustc --version) || ! cargo --version >/dev/null; then
    echo "setup: rustc or cargo does not start here (see above): run rustup toolchain install" >&2
    return 1
  fi
  found=$(cut -d' ' -f2 <<<"$found")
  if [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "setup: Rust $found is too old, $wanted or newer is needed: run rustup update, or see https://rustup.rs" >&2
    return 1
  fi
  if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
    echo "setup: make test needs rustfmt and clippy: run rustup component add rustfmt clippy" >&2
  fi
}

install_packages() {
  echo "setup: installing ${packages[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  # A fresh machine has no package lists, an old one has stale ones: they are fetched only when it needs them.
  apt-get install -y -q --no-install-recommends "${packages[@]}" >&2 ||
    { apt-get update -q >&2 && apt-get install -y -q --no-install-recommends "${packages[@]}" >&2; }
}

check_rust
look
if [ "${#missing[@]}" -gt 0 ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  install_packages || echo "setup: apt-get failed" >&2
  look
fi
if [ "${#missing[@]}" -gt 0 ]; then
  list=$(printf '%s, ' "${missing[@]}")
  hint=""
  has_libclang || hint=" (LIBCLANG_PATH may name the directory of a prebuilt libclang instead)"
  echo "setup: missing: ${list%, }; on Debian: sudo apt-get install --no-install-recommends ${packages[*]}$hint" >&2
  exit 1
fi
if ! has_faketime && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "setup: installing faketime, for the tests of clocks" >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends faketime >/dev/null 2>&1 ||
    echo "setup: faketime could not be installed; the tests of clocks will be skipped" >&2
fi
