#!/usr/bin/env bash
# Installs what the build needs beyond Rust itself: a C compiler for zstd and mimalloc.
set -euo pipefail

if ! command -v cargo >/dev/null; then
    echo 'Rust is missing: install rustup from https://rustup.rs, then run this again.' >&2
    exit 1
fi
if ! command -v cc >/dev/null; then
    if ! command -v apt-get >/dev/null; then
        echo 'A C compiler is missing: install one (such as gcc), then run this again.' >&2
        exit 1
    fi
    run=''
    [ "$(id -u)" -eq 0 ] || run='sudo'
    $run apt-get update
    $run apt-get install --yes --no-install-recommends gcc libc6-dev
fi
for part in rustfmt clippy; do
    cargo "${part/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$part"
done
