# `make up` starts a local cluster and signs something; `make test` is what CI runs.
.PHONY: up test check bench fuzz fix

up:
	tests/system/up

test:
	tests/system/stages

bench:
	cargo run --release --package casemate-bench

fix:
	cargo fmt --all
