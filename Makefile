# `make test` is everything that CI does; `cargo run --release -- demo` needs nothing from here.

export CARGO_TERM_COLOR ?= auto
NEXTEST_VERSION := 0.9.143
SCHEMATHESIS_VERSION := 4.32.5
# Where the tests look for it too (crates/app/tests/it/wire/contract.rs).
SCHEMATHESIS := target/tools/schemathesis
# Libraries of Standard Webhooks for the samples (crates/app/tests/it/events/receivers.rs).
RECEIVERS := target/tools/receivers
STANDARDWEBHOOKS_PYTHON := 1.1.0
STANDARDWEBHOOKS_NODE := 1.1.1
# What looks for barriers in the pages (crates/app/tests/it/browser/crawl.rs).
AXE := target/tools/axe
AXE_VERSION := 4.14.1

.PHONY: test quick check fmt bench bench-pages rig-sales rig-dead shots tools

# Formatting, lints, all tests (those that keep books on both databases), the documentation: in the order
# in which they are quick to fail.
test: tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo nextest run --workspace --locked --no-fail-fast
	SALDO_TEST_DATABASE=postgresql cargo nextest run --profile postgresql -p engine -p app --locked --no-fail-fast
	cargo test -p domain -p engine --doc --locked
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked --quiet

# What is quick enough to run before every commit: formatting, lints, unit tests, the store on SQLite.
quick:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo nextest run --workspace --lib --bins --locked --no-fail-fast
	cargo nextest run --profile quick -p store --test it --locked --no-fail-fast

# What is quick enough to run at every save.
check:
	cargo clippy --workspace --all-targets --locked

# The dashboard's lists and searches over a million purchases, on both stores.
bench-pages:
	cargo run --profile dist --locked -- bench-pages

fmt:
	cargo fmt --all

# Durable recharges a second on both stores, in turn with pgbench and a bare endpoint, through two nodes,
# and on books with a history: half an hour, some of which fills the books, and wants a quiet machine.
# Writes the figures and the graphs of docs/performance.md.
bench:
	cargo run --profile dist --locked -- bench --stored 100000,1000000 --page docs/performance.md

# Ten times as many sales at upstreams that lose answers, by a seller that is killed, as `make test` makes.
rig-sales:
	SALDO_TEST_SALES=20000 cargo nextest run -p app --locked --no-capture sales::

# What an upstream that never answers costs the sales at another one: five minutes, on a quiet machine.
rig-dead:
	cargo nextest run -p app --locked --no-capture --run-ignored only dead::

# Pictures of every page: target/shots/index.html.
shots: tools
	cargo nextest run -p app --locked --run-ignored only browser::shots

# What the tests need besides cargo: nextest from crates.io, schemathesis from PyPI, standardwebhooks from PyPI
# and npm, axe-core from npm; Chromium with its driver, curl, node, Python, ip, unshare, PostgreSQL and a C
# compiler from Debian.
tools:
	@./tools/install.sh $(NEXTEST_VERSION) $(SCHEMATHESIS_VERSION) $(SCHEMATHESIS) \
		$(RECEIVERS) $(STANDARDWEBHOOKS_PYTHON) $(STANDARDWEBHOOKS_NODE) $(AXE) $(AXE_VERSION)
