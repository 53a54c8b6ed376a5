#!/usr/bin/env bash
# Installs what `make test` lacks, where it may; otherwise says in one line what to install.
set -euo pipefail
nextest_version=$1

packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need cc gcc
need curl curl
need node nodejs

if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
    else
        echo "Please install: ${packages[*]} (on Debian: sudo apt-get install ${packages[*]})" >&2
        exit 1
    fi
fi

if ! cargo nextest --version >/dev/null 2>&1; then
    cargo install cargo-nextest --version "$nextest_version" --locked
fi
