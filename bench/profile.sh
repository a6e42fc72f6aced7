#!/usr/bin/env bash
# Where a scenario's CPU goes in the server: perf, while wsbench loads it, as a text in
# bench/results/DATE-profile-SCENARIO.txt beside the records. Needs perf (Debian: linux-perf,
# which root installs).
# usage: bench/profile.sh SCENARIO [WSBENCH FLAGS]
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -lt 1 ] || [[ ! $1 =~ ^[a-z]+$ ]]; then
	echo "usage: bench/profile.sh SCENARIO [WSBENCH FLAGS]" >&2
	exit 2
fi
scenario=$1
shift
seconds=8
command -v perf >/dev/null || {
	[ "$EUID" = 0 ] || { echo "bench/profile.sh: perf is missing: apt-get install linux-perf" >&2 && exit 1; }
	{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends linux-perf; } >/dev/null
}
go build -o bin/ ./cmd/wsify ./bench/wsbench
out=bench/results/$(date -u +%F)-profile-$scenario.txt
[ ! -e "$out" ] || out=bench/results/$(date -u +%F-%H%M%S)-profile-$scenario.txt

work=$(mktemp -d)
load=
# wsbench ends its servers when it ends.
trap '[ -z "$load" ] || { kill "$load" 2>/dev/null && wait "$load"; } || true; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

flags=(-run "$scenario" -rounds 3 -timeout 5m "$@")
./bin/wsbench "${flags[@]}" >"$work/figures" 2>&1 &
load=$!

# profile PID records one server for some seconds, when it has begun to work.
profile() {
	perf record -q -g -F 1999 -p "$1" -o "$work/perf.data" -- sleep "$seconds" 2>"$work/perf.log" || {
		cat "$work/perf.log" >&2
		exit 1
	}
}

for ((i = 0; i < 300; i++)); do
	server=$(pgrep -P "$load" -x wsify | head -n 1) || true
	[ -z "$server" ] || break
	kill -0 "$load" 2>/dev/null || { cat "$work/figures" >&2 && exit 1; }
	read -rt 0.1 <> <(:) || true
done
[ -n "${server:-}" ] || { echo "bench/profile.sh: $scenario started no server" >&2 && exit 1; }
profile "$server"

report() { perf report -i "$work/perf.data" --stdio "$@" 2>/dev/null | grep -Ev '^(#|$)' | sed -E 's/( +-)*[[:space:]]*$//'; }
{
	echo "wsbench ${flags[*]}"
	echo "commit $(git rev-parse --short=12 HEAD)$([ -z "$(git status --porcelain --untracked-files=no)" ] || echo +), $(uname -sr), $(nproc) cores, $(go env GOVERSION)"
	printf '\nshare of the CPU of the server, by program\n\n'
	report --no-children -g none --sort dso | awk 'NR <= 5'
	printf '\nby function, with what it calls\n\n'
	report --children -g none --sort symbol | awk 'NR <= 45'
	printf '\nby function alone\n\n'
	report --no-children -g none --sort symbol | awk 'NR <= 30'
} >"$out"
echo "$out"
