#!/usr/bin/env bash
# Compares the working tree with a base commit, pair by pair in one run: CPU and memory
# of the whole server by wsbench, allocations by the Go benchmarks. Not a test: it takes
# minutes and judges by medians of ratios.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
	cat <<-'END'
		usage: bench/check.sh [-b BASE] [-n COUNT] [-s] [-- WSBENCH FLAGS]
		  -b BASE   the commit to compare with; default: HEAD when tracked files are changed, else the one before it
		  -n COUNT  how often each Go benchmark runs on either side (6)
		  -s        skip the Go benchmarks
		WSBENCH FLAGS replace the default "-run connect,fanout,mesh,echo,idle -idle-rounds 4".
		Exit code: 0 nothing got worse, 3 something did, 1 it could not be measured, 2 usage.
	END
}

base='' count=6 skip=
while getopts b:n:sh option; do
	case $option in
	b) base=$OPTARG ;;
	n) count=$OPTARG ;;
	s) skip=yes ;;
	h) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- -run connect,fanout,mesh,echo,idle -idle-rounds 4

if [ -z "$base" ]; then
	base=HEAD
	[ -n "$(git status --porcelain --untracked-files=no)" ] || base=HEAD~1
fi
commit=$(git rev-parse --verify --quiet "$base^{commit}") || {
	echo "bench/check.sh: $base is no commit here" >&2
	exit 1
}

work=$(mktemp -d)
# Whatever happens, the base's tree goes, and what runs in it has ended before.
trap 'git worktree remove --force "$work/base" 2>/dev/null || true; rm -rf "$work"; git worktree prune' EXIT
trap 'exit 1' INT TERM

echo "base $base (${commit:0:12}) against the working tree"
git worktree add --quiet --detach "$work/base" "$commit"
mkdir "$work/bin"
go build -buildvcs=false -o "$work/bin/" ./cmd/wsify ./bench/wsbench
(cd "$work/base" && go build -buildvcs=false -o "$work/bin/base" ./cmd/wsify)

worse=0
code=0
"$work/bin/wsbench" -server "$work/bin/wsify" -against "base=$work/bin/base" -compare "$@" || code=$?
case $code in
0) ;;
3) worse=1 ;;
*) exit 1 ;;
esac

# benchmarks DIRECTORY FILE runs them once and appends what they print.
benchmarks() {
	(cd "$1" && go test -run '^$' -bench . -benchmem -benchtime 50ms ./netpoll ./hub ./auth ./broker/... ./internal/...) >"$work/out" 2>&1 || {
		cat "$work/out" >&2
		echo "bench/check.sh: the Go benchmarks failed in $1" >&2
		exit 1
	}
	grep -E '^(Benchmark|pkg:|goos:|goarch:|cpu:)' "$work/out" >>"$2"
}

# allocations FILE prints each benchmark with the fewest allocations it got by with.
# The number of processors behind the name is left out.
allocations() {
	awk '/^pkg:/ { pkg = $2 }
	/^Benchmark/ { for (i = 3; i < NF; i++) if ($(i+1) == "allocs/op") {
		name = pkg "." $1; sub(/-[0-9]+$/, "", name)
		if (!(name in least) || $i + 0 < least[name]) least[name] = $i + 0 } }
	END { for (name in least) print name, least[name] }' "$1" | sort
}

if [ -z "$skip" ]; then
	echo
	for ((i = 1; i <= count; i++)); do
		echo "Go benchmarks, $i of $count"
		benchmarks "$work/base" "$work/base.txt"
		benchmarks . "$work/tree.txt"
	done
	go tool -modfile=tools/go.mod benchstat -filter ".unit:(sec/op OR allocs/op)" base="$work/base.txt" tree="$work/tree.txt" || true
	more=$(join <(allocations "$work/base.txt") <(allocations "$work/tree.txt") | awk '$3 > $2 + $2 / 10 { print "  " $1 ": " $2 " -> " $3 " allocs/op" }')
	if [ -n "$more" ]; then
		printf 'allocates more than %s:\n%s\n' "$base" "$more"
		worse=1
	else
		echo "no benchmark allocates more than in $base"
	fi
fi

[ "$worse" = 0 ] || {
	echo "something got worse"
	exit 3
}
echo "nothing got worse"
