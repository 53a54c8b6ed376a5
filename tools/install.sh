#!/usr/bin/env bash
# Installs what `make test` lacks, where it may; otherwise says in one line what to install.
set -euo pipefail
nextest_version=$1
schemathesis_version=$2
schemathesis=$3

packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need cc gcc
need curl curl
need node nodejs
need python3 python3
python3 -c "import ensurepip, venv" >/dev/null 2>&1 || packages+=(python3-venv)

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

if [ "$("$schemathesis/bin/schemathesis" --version 2>/dev/null)" != "schemathesis, version $schemathesis_version" ]; then
    rm -rf "$schemathesis"
    python3 -m venv "$schemathesis"
    "$schemathesis/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$schemathesis_version"
fi
