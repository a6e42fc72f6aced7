#!/usr/bin/env bash
# Measures wsify and the servers of bench/peers in one run, in turn, into a record.
# usage: bench/peers.sh [WSBENCH FLAGS]
set -euo pipefail
cd "$(dirname "$0")/.."

(cd bench/peers && go build -o ../../bin/peers/ ./...)
against=(-against "centrifuge@centrifuge=bin/peers/centrifuge")
for name in nbio gws gobwasepoll coder gorilla; do
	against+=(-against "$name=bin/peers/$name")
done
exec bench/record.sh peers "${against[@]}" -rounds 3 -timeout 90m -run idle,connect,fanout,mesh,echo,http,burst,churn "$@"
