#!/usr/bin/env bash
# check.sh [BASE] [-- FLAGS]: builds the commit BASE (main) beside the working tree and compares
# both in one run of wsbench compare. It ends with 3 when something is worse.
set -euo pipefail
cd "$(dirname "$0")/.."
base=main
if [[ ${1:---} != -- ]]; then
	base=$1
	shift
fi
[[ ${1:-} != -- ]] || shift
work=$(mktemp -d)
trap 'git worktree remove --force "$work/base" 2>/dev/null || true; rm -rf "$work"; git worktree prune' EXIT
git worktree add --quiet --detach "$work/base" "$base"
(cd "$work/base" && go build -buildvcs=false -o "$work/old" ./cmd/wsify)
go build -buildvcs=false -o "$work/new" ./cmd/wsify
(cd bench && go build -buildvcs=false -o "$work/wsbench" ./wsbench)
"$work/wsbench" compare "$@" "$work/old" "$work/new"
