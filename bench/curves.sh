#!/usr/bin/env bash
# Measures the curves by which a server is tuned, each into a record of its own.
# usage: bench/curves.sh [CURVE...]   (default: all of them, about half an hour)
set -euo pipefail
cd "$(dirname "$0")/.."

# powers FROM TO prints the numbers from FROM to TO, each twice the one before, and TO.
powers() {
	local n list=
	for ((n = $1; n < $2; n *= 2)); do list+=$n,; done
	echo "$list$2"
}

curve() {
	printf '\n== %s\n' "$1"
	case $1 in
	# How much each further loop brings, and what it costs.
	loops) bench/record.sh curve-loops -run connect,fanout,mesh,echo -rounds 3 -vary "server.loops=$(powers 1 "$(nproc)")" ;;
	# All loops publish at once, each to channels of its own connections: what a lock costs that they share.
	shards) bench/record.sh curve-shards -run echo -echo-connections 1000 -rounds 3 -vary server.shards=1,4,16,64,256,1024,4096 ;;
	# Calls to the authorizer at once, and waiting, for each of its latencies.
	workers) bench/record.sh curve-workers -run authorizer -authorizer-time 3s -authorizer-rounds 1 -vary server.workers=4,16,64,256,1024 ;;
	queue) bench/record.sh curve-queue -run storm -connections 4000 -rounds 3 -server-args "-workers 64" -vary server.queue=16,64,256,1024,4096 ;;
	# What grows with the number of connections, and what does not.
	connections) bench/record.sh curve-connections -run idle,fanout -rounds 3 -vary connections=1000,3000,8000,19000 ;;
	# Payloads. The queues have to hold four of the largest.
	content) bench/record.sh curve-content -run fanout -connections 1000 -rounds 3 -publications 8 -delivery-rate 4000 \
		-server-args "-write-queue-size 8MiB -max-message-size 128KiB" -vary content=16,128,1024,4096,16384,65536 ;;
	*)
		echo "bench/curves.sh: no curve $1; there are loops, shards, workers, queue, connections, content" >&2
		exit 2
		;;
	esac
}

[ $# -gt 0 ] || set -- loops shards workers queue connections content
failed=()
for name; do
	code=0
	(set -e && curve "$name") || code=$?
	[ "$code" != 2 ] || exit 2
	[ "$code" = 0 ] || failed+=("$name")
done
[ "${#failed[@]}" = 0 ] || {
	echo "bench/curves.sh: not measured whole: ${failed[*]}" >&2
	exit 1
}
