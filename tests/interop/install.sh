# Installs what the checks need. Sourced by run. Every install_CLIENT returns 1, after one line that
# says why, when its client cannot be had here, and costs next to nothing when it is there already.

COSIGN_VERSION=v3.1.3
COSIGN_2_VERSION=v2.6.5
REKOR_CLI_VERSION=v1.5.4
TESSERA_VERSION=v1.0.4
TORCHWOOD_VERSION=v0.9.0
GO_MINOR_MIN=26
NODE_MAJOR_MIN=20

# Those of Rekor whose tests want a server. The first also reads all that is in the log, and wants
# no more there than it wrote itself.
export E2E_PACKAGES="tests cmd/rekor-cli cmd/rekor-server pkg/types/hashedrekord/v0.0.1
  pkg/types/dsse/v0.0.1 pkg/types/intoto pkg/types/rekord pkg/types/rfc3161 pkg/types/alpine
  pkg/types/jar pkg/types/rpm pkg/pki/x509 pkg/pki/ssh pkg/pki/minisign pkg/pki/tuf"

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/cairn/interop
REPO=$(cd ../.. && pwd)
BUILT=$REPO/target/interop

# Go fetches no other toolchain, and stamps no version that would ask git.
export GOTOOLCHAIN=local GOFLAGS="-buildvcs=false -mod=readonly"

say() { printf 'interop: %s\n' "$*" >&2; }

# building WHAT COMMAND... runs a build quietly and shows its end if it fails.
building() {
  local what=$1 started=$SECONDS log
  shift
  log=$(mktemp)
  say "installing $what"
  if "$@" >"$log" 2>&1; then
    if [ $((SECONDS - started)) -ge 5 ]; then say "installed $what in $((SECONDS - started)) s"; fi
    rm -f "$log"
  else
    say "could not install $what; the last lines of $log say:"
    tail -n 15 "$log" >&2
    return 1
  fi
}

# apt PACKAGE... installs Debian packages where that is possible, and fails silently elsewhere.
apt() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
    { apt-get update && apt-get install -y --no-install-recommends "$@"; } >/dev/null 2>&1
}

need_go() {
  local version=0
  if command -v go >/dev/null; then
    version=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  fi
  if [ "${version:-0}" -lt "$GO_MINOR_MIN" ]; then
    say "Go 1.$GO_MINOR_MIN or newer is needed; Debian's own package is older"
    return 1
  fi
}

need_python() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt python3 python3-venv || true
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    say "python3 with venv is needed; on Debian: apt-get install python3-venv"
    return 1
  fi
}

# Its key lives in an ssh-agent; its tables are seeded by a script.
need_litewitness() {
  if ! command -v ssh-agent >/dev/null || ! command -v ssh-keygen >/dev/null; then
    apt openssh-client || true
  fi
  if ! command -v ssh-agent >/dev/null || ! command -v ssh-keygen >/dev/null; then
    say "ssh-agent and ssh-keygen are needed; on Debian: apt-get install openssh-client"
    return 1
  fi
  need_python3 sqlite3
}

# What makes the signatures that rekor-cli uploads.
need_signers() {
  local program
  for program in openssl ssh-keygen gpg; do
    command -v "$program" >/dev/null || apt openssl openssh-client gnupg || true
    if ! command -v "$program" >/dev/null; then
      say "$program is needed; on Debian: apt-get install openssl openssh-client gnupg"
      return 1
    fi
  done
}

# need_python3 MODULE
need_python3() {
  python3 -c "import $1" 2>/dev/null || apt python3 || true
  if ! python3 -c "import $1" 2>/dev/null; then
    say "python3 with its module $1 is needed; on Debian: apt-get install python3"
    return 1
  fi
}

need_node() {
  command -v npm >/dev/null || apt nodejs npm || true
  local major=0
  if command -v npm >/dev/null; then major=$(node -p 'process.versions.node.split(".")[0]'); fi
  if [ "$major" -lt "$NODE_MAJOR_MIN" ]; then
    say "node $NODE_MAJOR_MIN or newer and npm are needed; on Debian 13: apt-get install nodejs npm"
    return 1
  fi
}

# Our own Go programs: the services around a log, and the readers. Nothing works without the former.
install_go_tools() {
  need_go || exit 1
  building "the stand-in services and readers" build_go_tools || exit 1
}

build_go_tools() {
  (cd standin && go build -o "$BUILT/standin" .) &&
    (cd go && go build -o "$BUILT/" ./reader ./filler ./tamper ./opener ./subtree ./notekey)
}

install_cairn() {
  [ -z "${CAIRN_BIN-}" ] || return 0
  building "cairn-server, cairn-witness and cairn" build_cairn || exit 1
  CAIRN_BIN=$REPO/target/debug
}

build_cairn() {
  (
    cd "$REPO" && eval "$(ops/rocksdb/build.sh)" &&
      cargo build --locked -p log-server -p log-witness -p log-cli
  )
}

install_cosign() {
  [ -x "$CACHE/bin/cosign-$COSIGN_VERSION" ] || say "cosign takes about 9 minutes of one core"
  go_install cosign "$COSIGN_VERSION" github.com/sigstore/cosign/v3/cmd/cosign
}

install_rekor_cli() {
  need_signers &&
    go_install rekor-cli "$REKOR_CLI_VERSION" github.com/sigstore/rekor/cmd/rekor-cli
}

# What only interop-all needs.
install_cosign_v1() {
  install_cosign || return 1
  [ -x "$CACHE/bin/cosign-$COSIGN_2_VERSION" ] || say "cosign 2 takes about 5 minutes of two cores"
  go_install cosign "$COSIGN_2_VERSION" github.com/sigstore/cosign/v2/cmd/cosign
}

install_image() {
  building "the program around containers/image" build_image || return 1
  IMAGE_SOURCE=$(cd image && go list -m -f '{{.Dir}}' go.podman.io/image/v5)
  export IMAGE_SOURCE
}

build_image() {
  # Without them the library wants the C libraries of GnuPG and of btrfs.
  local tags=containers_image_openpgp,exclude_graphdriver_btrfs
  tags+=,containers_image_docker_daemon_stub,containers_image_storage_stub
  (
    cd image && go build -tags "$tags" -o "$BUILT/image" . &&
      go test -c -tags "$tags" -o "$BUILT/image-rekor.test" \
        go.podman.io/image/v5/signature/sigstore/rekor
  )
}

# Upstream's tests look for their data, and for a rekor-cli that counts what they cover, beside
# their sources. With their tag that program would run these tests itself, and itself in turn.
install_rekor_e2e() {
  command -v minisign >/dev/null || apt minisign || true
  export REKOR_E2E=$CACHE/rekor-e2e-$REKOR_CLI_VERSION
  [ -e "$REKOR_E2E/complete" ] || building "Rekor's own tests" build_rekor_e2e
}

build_rekor_e2e() (
  local source package
  rm -rf "$REKOR_E2E" && mkdir "$REKOR_E2E" && cd "$REKOR_E2E" &&
    source=$(go mod download -json "github.com/sigstore/rekor@$REKOR_CLI_VERSION" |
      sed -n 's/.*"Dir": "\(.*\)".*/\1/p') &&
    cp -r "$source" tree && chmod -R u+w tree && cd tree &&
    go test -c -cover -o rekor-cli ./cmd/rekor-cli || return
  for package in $E2E_PACKAGES; do
    go test -tags=e2e -c -o "$REKOR_E2E/$(tr / _ <<<"$package").test" "./$package" || return
  done
  grep -rl --include='*_test.go' '^//go:build e2e' . | xargs grep -h '^func Test' \
    >"$REKOR_E2E/e2e-tests" && touch "$REKOR_E2E/complete"
)

install_tessera() {
  go_install fsck "$TESSERA_VERSION" github.com/transparency-dev/tessera/cmd/fsck
}

install_litewitness() {
  need_litewitness &&
    go_install litewitness "$TORCHWOOD_VERSION" filippo.io/torchwood/cmd/litewitness
}

# As released, and once more from our own module, which gives it the release of its note library
# that reads ML-DSA cosignatures. Python serves its files.
install_tessera_log() {
  local package=github.com/transparency-dev/tessera/cmd/examples/posix-oneshot
  need_python3 http.server || return 1
  go_install posix-oneshot "$TESSERA_VERSION" "$package" &&
    building "posix-oneshot with ML-DSA" build_posix_log "$package"
}

build_posix_log() {
  (cd go && go build -o "$BUILT/" "$1")
}

# go_install NAME VERSION PACKAGE leaves the program at $CACHE/bin/NAME-VERSION.
go_install() {
  local to=$CACHE/bin/$1-$2
  [ -x "$to" ] && return
  building "$1 $2" \
    env GOBIN="$CACHE/bin/part" GOFLAGS=-buildvcs=false go install "$3@$2" || return 1
  mv "$CACHE/bin/part/$1" "$to"
}

# A directory is named after all that decides its content.
install_sigstore_python() {
  need_python || return 1
  local key
  key=$( (python3 -V && cat python/requirements.txt) | sha256sum | cut -c1-12)
  export PYTHON_HOME=$CACHE/python-$key
  [ -e "$PYTHON_HOME/complete" ] || building "sigstore-python" build_python
}

build_python() {
  rm -rf "$PYTHON_HOME" && python3 -m venv "$PYTHON_HOME" &&
    "$PYTHON_HOME/bin/pip" install --disable-pip-version-check --require-hashes \
      --only-binary :all: -r python/requirements.txt && touch "$PYTHON_HOME/complete"
}

install_sigstore_js() {
  need_node || return 1
  local key
  key=$( (node -v && cat js/package-lock.json) | sha256sum | cut -c1-12)
  export JS_HOME=$CACHE/js-$key
  [ -d "$JS_HOME/node_modules" ] || building "sigstore-js" build_js || return 1
  # Node looks for the modules beside the program.
  cp js/client.mjs "$JS_HOME/"
}

build_js() {
  rm -rf "$JS_HOME.part" && mkdir "$JS_HOME.part" && cp js/package*.json "$JS_HOME.part/" &&
    (cd "$JS_HOME.part" && npm ci --ignore-scripts --no-audit --no-fund) &&
    mv "$JS_HOME.part" "$JS_HOME"
}

install_sigstore_rust() {
  [ -d "$BUILT/debug" ] || say "the sigstore crates take about 6 minutes of one core"
  building "sigstore-rust" \
    cargo build --locked --manifest-path rust/Cargo.toml --target-dir "$BUILT"
}

# Its programs are built with our own tools.
install_tlog() { :; }
