# `make up` starts a local cluster and signs something; `make test` is what CI runs.
.PHONY: up test bench fuzz fix install

up:
	tests/system/up

test:
	tests/system/stages

# Prints the table; `make bench ARGUMENTS='--write docs/performance.md'` also puts it into the document.
bench:
	cargo build --release --package casemate-cli --package casemate-hsmd --package casemate-pkcs11
	cargo run --release --package casemate-bench -- $(ARGUMENTS)

# As a package would lay it out: under DESTDIR, or on this machine.
install:
	packaging/install "$(DESTDIR)"

# Fuzzes every border: MINUTES for each target, 1 unless set.
fuzz:
	MINUTES=$(MINUTES) fuzz/run

fix:
	cargo fmt --all
