#!/usr/bin/env bash
# Writes test/chart/schemas, which the tests compare the chart's objects with: schemas of Kubernetes and
# of the Prometheus operator, by their own programs. To compile these takes minutes, so the result is kept.
#
#   test/chart/schemas.sh
set -euo pipefail
cd "$(dirname "$0")"

kubernetes=1.37.2 operator=0.95.2 tools=0.23.0
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

mkdir "$made/kubernetes" "$made/operator"
(
	cd "$made/kubernetes"
	go mod init made
	# Kubernetes names its parts by their directories.
	go mod edit -require "k8s.io/kubernetes@v$kubernetes"
	parts=$(sed -n 's|^\t\(k8s.io/[a-z-]*\) => ./staging/.*|\1|p' "$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')")
	for part in $parts; do go mod edit -replace "$part=$part@v0${kubernetes#1}"; done
	go mod edit -tool k8s.io/kubernetes/pkg/generated/openapi/cmd/models-schema
	go mod tidy
	go tool models-schema >"$made/definitions.json"
)
(
	cd "$made/operator"
	go mod init made
	go get "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1@v$operator"
	go get -tool "sigs.k8s.io/controller-tools/cmd/controller-gen@v$tools"
	go tool controller-gen crd paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1 output:crd:dir="$made"
)
go run schemas.go "$made/definitions.json" "$made/monitoring.coreos.com_servicemonitors.yaml"
