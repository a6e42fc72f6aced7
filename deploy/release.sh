#!/usr/bin/env bash
# Writes a release into a directory: for each processor an archive, a deb, an rpm and a list of the
# modules in the program (SBOM), and the checksums of all. make release runs it. The same commit, Go
# and version give the same bytes, on any machine and in any directory.
#
#   VERSION=4.0.0 deploy/release.sh DIRECTORY amd64 arm64 riscv64
set -euo pipefail

out=$(realpath -m "$1")
shift
cd "$(dirname "$0")/.."
: "${VERSION:?is not set}" "${NFPM:=bin/tools/nfpm}" "${CYCLONEDX:=bin/tools/cyclonedx-gomod}"
# The time of the commit is the time of every file, in seconds since 1970.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
# What -version says the program was built from; "-dirty" at its end when files were changed since.
COMMIT=${COMMIT-$(git describe --always --exclude='*' --abbrev=40 --dirty)}
export VERSION SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC

# build ARCH FILE compiles the program. The settings of the caller's environment that could change
# the result are overridden.
build() {
	env -u GOEXPERIMENT GOOS=linux GOARCH="$1" GOAMD64=v1 GOARM64=v8.0 GORISCV64=rva20u64 CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off \
		go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$VERSION -X main.commit=$COMMIT" -o "$2" ./cmd/wsify
}

# archive NAME DIRECTORY packs DIRECTORY/NAME.
archive() {
	tar --create --directory "$2" --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
		--mode=u+rw,go+r-w,a+X "$1" | gzip --no-name >"$out/$1.tar.gz"
}

# release ARCH writes all files for one processor.
release() {
	local name=wsify-$VERSION-linux-$1
	mkdir "$tree/$name"
	build "$1" "$tree/$name/wsify"
	cp -R LICENSE README.md CHANGELOG.md docs deploy "$tree/$name/"
	archive "$name" "$tree"
	for packager in deb rpm; do
		ARCH=$1 TREE=$tree/$name "$NFPM" package --config deploy/package/nfpm.yaml --packager "$packager" --target "$out/$name.$packager"
	done
	"$CYCLONEDX" bin -json -noserial -notimestamp -std -version "v$VERSION" -output "$out/$name.cdx.json" "$tree/$name/wsify"
}

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$out"
rm -f "$out"/wsify-* "$out/SHA256SUMS"
for arch in "$@"; do
	release "$arch"
done
(cd "$out" && sha256sum wsify-* >SHA256SUMS)
