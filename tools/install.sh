#!/usr/bin/env bash
# Installs what `make test` lacks, where it may; otherwise says in one line what to install.
set -euo pipefail
nextest_version=$1
schemathesis_version=$2
schemathesis=$3
receivers=$4
standardwebhooks_python=$5
standardwebhooks_node=$6
axe=$7
axe_version=$8

packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need cc gcc
need curl curl
need node nodejs
need npm npm
need python3 python3
# The webhook sender is tested in a network namespace of its own.
need unshare util-linux
[ -x /usr/sbin/ip ] || need ip iproute2
# The pages are tried in a browser, with letters for English and Bangla.
need chromium chromium
need chromedriver chromium-driver
[ -d /usr/share/fonts/truetype/noto ] || packages+=(fonts-noto-core)
# The tests start a PostgreSQL of their own from the server programs, which Debian keeps out of the path.
has_postgres() {
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 ||
        [ -x "$(pg_config --bindir 2>/dev/null)/initdb" ]
}
has_postgres || packages+=(postgresql)
python3 -c "import ensurepip, venv" >/dev/null 2>&1 || packages+=(python3-venv)

if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        # No server of the system's is wanted, only the programs.
        if ! has_postgres && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
            mkdir -p /etc/postgresql-common
            echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
        fi
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            -o Dpkg::Options::=--force-confold "${packages[@]}"
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

if [ ! -d "$receivers/python/standardwebhooks-$standardwebhooks_python.dist-info" ]; then
    rm -rf "$receivers/python"
    "$schemathesis/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        --target "$receivers/python" "standardwebhooks==$standardwebhooks_python"
fi

if ! grep -qsF "\"version\": \"$standardwebhooks_node\"" "$receivers/node_modules/standardwebhooks/package.json"; then
    mkdir -p "$receivers"
    npm install --prefix "$receivers" --silent --no-audit --no-fund "standardwebhooks@$standardwebhooks_node"
fi

if ! grep -qsF "\"version\": \"$axe_version\"" "$axe/node_modules/axe-core/package.json"; then
    mkdir -p "$axe"
    npm install --prefix "$axe" --silent --no-audit --no-fund "axe-core@$axe_version"
fi
