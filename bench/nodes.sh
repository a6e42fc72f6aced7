#!/usr/bin/env bash
# Measures wsify nodes behind Redis and NATS into a record. As root it installs Debian's
# Redis when there is none; NATS and its bench are built, for which they are fetched once.
# usage: bench/nodes.sh [WSBENCH FLAGS]
set -euo pipefail
cd "$(dirname "$0")/.."

# An engine that cannot be had is named in the record, and the rest is measured.
if ! { command -v redis-server && command -v redis-benchmark; } >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get -qq update && apt-get -qq install --yes --no-install-recommends redis-server redis-tools </dev/null; } ||
		echo "nodes: redis-server could not be installed" >&2
fi
mkdir -p bin/engines
(cd bench/engines && go build -o ../../bin/engines/ tool) || echo "nodes: nats-server and nats could not be built" >&2

exec bench/record.sh nodes -run nodes,engines,subscriptions,pings -rounds 3 -publications 60 -paced-time 3s -timeout 15m "$@"
