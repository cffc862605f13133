# make demo   watch databases come back from backup and be proved
# make test   everything; sets up what it needs
# make check  what CI checks besides the tests
# make bench  ratios against what one would use instead
# make release  the binary for others, without this machine's paths in it
# make sbom   what the binary is made of, as CycloneDX

CARGO ?= cargo
TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/drctl/tools
# They look at a few files: building them without optimisation takes a third of the time, and nobody notices.
INSTALL = CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --debug --locked --quiet --root $(TOOLS)
export PATH := $(CURDIR)/.venv/bin:$(TOOLS)/bin:$(PATH)

.PHONY: demo test check bench release sbom tools

demo:
	@scripts/setup demo
	@$(CARGO) build --locked
	@$(CARGO) run --locked --quiet -- demo

test:
	@scripts/setup test
	rm -rf target/sandbox-calls
	DRCTL_TEST_ALL=1 DRCTL_SANDBOX_RECORD=$(CURDIR)/target/sandbox-calls $(CARGO) test --locked
	.venv/bin/python tests/conformance/judge.py target/sandbox-calls

check: tools
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	cargo-deny check --hide-inclusion-graph bans licenses sources
	cargo-machete
	scripts/check-layers
	scripts/advisories

bench:
	@scripts/setup test
	@$(CARGO) build --release --locked --quiet
	@$(CARGO) bench --locked --quiet

# Paths in messages of panics begin with what they are of, not with where it was built. `trim-paths` will do that some day.
REMAP = $(HOME)/.cargo/registry/src=crates $(shell rustc --print sysroot)=rust $(CURDIR)=drctl
release: export RUSTFLAGS = $(foreach map,$(REMAP),--remap-path-prefix=$(map))
release: export CFLAGS = $(foreach map,$(REMAP),-ffile-prefix-map=$(map))
release:
	@$(CARGO) build --release --locked
	@scripts/sbom >target/release/drctl.cdx.json

sbom:
	@scripts/sbom

tools:
	@command -v cargo-machete >/dev/null || $(INSTALL) cargo-machete@0.9.2
	@command -v cargo-deny >/dev/null || $(INSTALL) cargo-deny@0.20.2
