# The task runner. `make` lists the targets; each one prepares what it needs by itself.
#
# One form of every cargo call (`--workspace --locked`): with another selection of packages cargo unifies features
# differently and compiles much of the graph a second time. One profile for all checks, and `release` beside it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Every cargo call links the RocksDB library that is built once for this machine. If that fails the script says so,
# prints nothing, and cargo builds its own copy.
ROCKSDB := eval "$$(ops/rocksdb/build.sh)"
CARGO := $(ROCKSDB) && cargo

# Tools that cargo builds are kept outside target/, so that they are built once for a machine.
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY_ROOT := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cairn/tools/cargo-deny-$(CARGO_DENY_VERSION)
CARGO_DENY := $(CARGO_DENY_ROOT)/bin/cargo-deny

##@ Every day
.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: ## Look for what the build needs; install it on Debian as root, else say what is missing
	@ops/setup.sh

.PHONY: build
build: setup ## Release binaries in target/release
	$(CARGO) build --release --workspace --locked

# The build that the tests use too: a newcomer compiles one profile, not two.
.PHONY: dev-build
dev-build: setup
	$(CARGO) build --workspace --locked

.PHONY: test
test: format deny lint docs unit ## Every check: format, deny, lint, docs, tests, tidy
	@echo "make test: every check passed"

.PHONY: demo
demo: dev-build ## A log under three witnesses: sign, log, verify offline, lose the quorum, catch a fork
	ops/demo.sh

.PHONY: run
run: build ## Serve a log from ./out/run until Ctrl-C
	ops/run.sh

##@ The parts of make test
.PHONY: format
format: setup ## The code is formatted as rustfmt.toml says
	cargo fmt --all --check

.PHONY: lint
lint: setup ## Clippy on everything, tests and benches too; a warning fails
	$(CARGO) clippy --workspace --locked --all-targets -- -D warnings

.PHONY: docs
docs: setup ## The documentation builds without a warning
	$(ROCKSDB) && RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --locked --no-deps

.PHONY: unit
unit: setup ## The tests of all crates, tests/tidy.rs and the doc examples included
	$(CARGO) test --workspace --locked

.PHONY: tidy
tidy: setup ## Only tests/tidy.rs: the style and the module edges
	$(CARGO) test --workspace --locked --test tidy

.PHONY: deny
deny: setup $(CARGO_DENY) ## Licences, banned crates and sources of the whole graph (deny.toml)
	cargo fetch --locked
	$(CARGO_DENY) --offline --locked --workspace check --hide-inclusion-graph licenses bans sources

$(CARGO_DENY):
	@echo "cargo-deny $(CARGO_DENY_VERSION) is built into $(CARGO_DENY_ROOT), once for this machine (2 to 3 minutes)"
	cargo install --locked --debug --root $(CARGO_DENY_ROOT) cargo-deny@$(CARGO_DENY_VERSION)

##@ More
.PHONY: interop
interop: dev-build ## Real foreign clients against a server started for the run
	CAIRN_BIN=$(or $(CARGO_TARGET_DIR),target)/debug tests/interop/run

.PHONY: interop-all
interop-all: dev-build ## The same, with the clients that take too long for CI
	CAIRN_BIN=$(or $(CARGO_TARGET_DIR),target)/debug tests/interop/run --all

.PHONY: crash
crash: setup ## Random kill -9 of log and witness (CAIRN_CRASH_ROUNDS, 200) and power cuts (CAIRN_POWER_CUTS, 20)
	$(ROCKSDB) && CAIRN_CRASH_ROUNDS="$${CAIRN_CRASH_ROUNDS:-200}" CAIRN_POWER_CUTS="$${CAIRN_POWER_CUTS:-20}" \
	  cargo test --workspace --locked --tests -- --nocapture --exact \
	  crash::acknowledged_entries_survive_random_kills \
	  crash_v1::acknowledged_v1_entries_are_found_after_random_kills \
	  cosign_crash::one_history_survives_random_kills \
	  witness_crash::no_second_history_survives_random_kills \
	  witness_power::what_was_released_survives_a_power_cut

.PHONY: fuzz-smoke
fuzz-smoke: setup ## Every fuzz target for a few seconds, on the stable toolchain
	$(ROCKSDB) && ops/fuzz-smoke.sh

.PHONY: bench
bench: build ## The benches, 15 minutes (benches/README.md says what they measure)
	$(CARGO) bench --workspace --locked --bench core
	$${CARGO_TARGET_DIR:-target}/release/cairn-bench
	$${CARGO_TARGET_DIR:-target}/release/cairn-v1-bench create
	$${CARGO_TARGET_DIR:-target}/release/cairn-v1-bench search
	benches/witness.sh

.PHONY: proto
proto: setup ## Generate proto/src/generated again from the .proto files
	UPDATE=1 cargo test -p log-proto --locked

.PHONY: clean
clean: ## Remove target/ and out/; the libraries and tools in the user's cache stay
	rm -rf target out
