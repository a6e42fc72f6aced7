#!/usr/bin/env bash
# Runs wsbench and keeps its record as bench/results/DATE-KIND.json, or DATE-TIME-KIND.json
# when that day has one already: records are added, never edited.
# usage: bench/record.sh KIND [WSBENCH FLAGS]
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -lt 1 ] || [[ ! $1 =~ ^[a-z][a-z0-9-]*$ ]]; then
	echo "usage: bench/record.sh KIND [WSBENCH FLAGS]" >&2
	exit 2
fi
kind=$1
shift
name=$(date -u +%Y-%m-%d)-$kind.json
[ ! -e "bench/results/$name" ] || name=$(date -u +%Y-%m-%d-%H%M%S)-$kind.json

go build -o bin/ ./cmd/wsify ./bench/wsbench
exec ./bin/wsbench -json "$name" "$@"
