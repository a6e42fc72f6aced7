# Every target is what a reader would have typed. Nothing needs installing but Go; the tests
# under test/ say what they need besides, and are skipped without it.
SHELL       = /bin/bash
.SHELLFLAGS = -eu -o pipefail -c

GO        ?= go
COUNT     ?= 10
FUZZTIME  ?= 2s
FUZZLIMIT ?= 1h
PKG       ?= ./...
ARGS      ?=
BASE      ?=
TESTFLAGS ?=
SCENARIO  ?= fanout
VARY      ?= content=64,1024,16384
RECORDS   ?= $(wildcard bench/results/*.json)
NAMED      = bench/results/$(shell date -u +%Y-%m-%d-%H%M)
OLD       ?=
NEW       ?=
ARCHS     ?= amd64 arm64 riscv64
RELEASE   ?= $(CURDIR)/bin/release
VERSION   ?= 0.0.0+$(shell git rev-parse --short HEAD)
TAGGED     = ./internal/invariants # where files differ by the tag
# test/chart and test/envoy are no part of these: they take a minute to compile. make checkers vets them.
MODULES    = test/clients test/compose bench tools
STATIC     = $(CURDIR)/bin/tools/staticcheck
TOOLS     ?= $(CURDIR)/bin/tools
LEAN       = $(foreach m,k8s.io sigs.k8s.io google.golang.org github.com,-gcflags="$(m)/...=-N -l -dwarf=false")
BENCHSTAT  = $(GO) tool -modfile=tools/go.mod benchstat
RECORD    ?= bench/results/go-$(shell date -u +%Y-%m-%d-%H%M%S).txt

help: ## print this list
	@awk -F ':.*## ' '/^[a-zA-Z0-9_-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./bin/wsify and ./bin/wsbench                 (go build -o bin/ ./cmd/...)
	$(GO) build -o bin/ ./cmd/...
	cd bench && $(GO) build -o ../bin/ ./wsbench

run: ## run the server; ARGS="-ping-interval 1m"            (go run ./cmd/wsify -broadcasting-key dev)
	$(GO) run ./cmd/wsify -broadcasting-key dev $(ARGS)

quick: fmt vet ## a small change in under a minute: format, vet, short tests  (go test -short -tags invariants ./...)
	$(GO) test -short -tags invariants $(PKG)

update: ## write what is generated: -help's text, the table of settings, scripts
	$(GO) test -tags invariants ./cmd/wsify ./internal/session ./internal/doctor -run 'Help|Settings|Scripts|Golden|PageShows' -update

# In two steps: check needs Go, make and a C compiler; e2e needs a browser, proxies and the like.
check: fmt vet staticcheck tidy types test modules plain race fuzz ## everything but e2e; 7 minutes, most of them tests under the race detector

# What the tests of packages need takes two minutes to compile on one core, and other tests wait much: so both at once. Only the cache keeps the results.
e2e: ## the tests with programs of others, which root installs from Debian; 3 minutes
	dir=$$(mktemp -d); setsid nice make -s checkers release-tools TOOLS=$$dir >/dev/null 2>&1 & trap "kill -- -$$! 2>/dev/null || true; wait; rm -rf $$dir" EXIT; E2E=1 $(GO) test -count 1 $(TESTFLAGS) ./test/...

test: ## all tests, with invariant checks on                 (go test -tags invariants ./...)
	$(GO) test -tags invariants $(TESTFLAGS) $(PKG)

# The tests that builds with checks or the race detector leave out, or make smaller, with the others of their files.
plain: ## tests that differ without checks: what must not allocate
	files=$$(grep -rl --include='*_test.go' 'invariants\.Enabled' .); \
	tests=$$(sed -n 's/^func \(Test[^(]*\).*/\1/p' $$files | paste -sd'|'); \
	$(GO) test -run "^($$tests)\$$" $$(dirname $$files | sort -u)

race: ## the tests under the race detector, in short         (go test -race -short ./..., but for packages without goroutines)
	$(GO) test -race -short $$($(GO) list $(PKG) | grep -vE '^wsify(/internal/(command|ring|slab|testtool|wire)|/broker/internal/dsn|/test)?$$')

fmt: ## list files that gofmt would change, and fail        (gofmt -l .)
	@files=$$(gofmt -l .); test -z "$$files" || { echo "gofmt would change:"; echo "$$files"; exit 1; }

vet: ## go vet, of the other modules too                   (go vet ./...)
	$(GO) vet ./...
	$(GO) vet -tags invariants $(TAGGED)
	for m in $(MODULES); do (cd $$m && $(GO) vet ./...); done

staticcheck: ## staticcheck, of the other modules too               (go tool -modfile=tools/go.mod staticcheck ./...)
	$(GO) build -modfile=tools/go.mod -o $(STATIC) honnef.co/go/tools/cmd/staticcheck
	$(STATIC) ./...
	$(STATIC) -tags invariants $(TAGGED)
	for m in $(MODULES); do (cd $$m && $(STATIC) ./...); done

tidy: ## go.mod and go.sum are complete and nothing more     (go mod tidy -diff)
	$(GO) mod verify
	$(GO) mod tidy -diff

types: ## other processors and systems                        (GOARCH=arm64 bin/tools/typecheck -test ./...)
	cd tools && $(GO) build -o ../bin/tools/typecheck ./typecheck
	GOARCH=arm64 bin/tools/typecheck -test ./...
	GOARCH=386 bin/tools/typecheck ./...
	GOARCH=riscv64 bin/tools/typecheck ./...
	GOARCH=arm64 $(GO) build -o /dev/null ./cmd/wsify
	GOOS=darwin $(GO) vet ./cmd/wsify # it says that it needs Linux
	GOOS=darwin $(GO) build -o /dev/null ./cmd/wsify

modules: ## the tests of the bench, a module of its own         (cd bench && go test ./...)
	cd bench && $(GO) mod tidy -diff && $(GO) test ./...

# One binary for all targets of a package, where only our packages are made to steer the search: go test -fuzz would
# compile everything below them again. What it finds new is kept where go test -fuzz would keep it.
# Before Go 1.27 a search whose time is up may call that a failure (golang/go#75804). It is
# none when there is no input that fails, and neither is a search stopped by FUZZLIMIT.
fuzz: ## each fuzz target for FUZZTIME (2s); PKG=./internal/wire for one package
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; cache=$$($(GO) env GOCACHE)/fuzz; \
	$(GO) list -f '{{.ImportPath}} {{.Dir}}' $(PKG) | while read -r p dir; do \
		names=$$(sed -n 's/^func \(Fuzz[^(]*\)(.*/\1/p' "$$dir"/*_test.go 2>/dev/null || true); test -n "$$names" || continue; \
		$(GO) test -c -gcflags='wsify/...=-d=libfuzzer' -o "$$out/test" "$$p"; \
		for f in $$names; do \
			echo "$$p $$f"; \
			(cd "$$dir" && { timeout --kill-after 10 $(FUZZLIMIT) "$$out/test" -test.run '^$$' -test.fuzz "^$$f\$$" -test.fuzztime $(FUZZTIME) \
				-test.fuzzminimizetime 1x -test.fuzzcachedir "$$cache/$$p" || test $$? -eq 124; }) 2>&1 | tee "$$out/said" || \
				{ grep -qx ' *context deadline exceeded' "$$out/said" && ! grep -qE 'Failing input|corpus entry' "$$out/said"; } || exit 1; \
		done; \
	done

bench: ## Go benchmarks, COUNT times, into bench/results      (go test -run '^$$' -bench . ./...)
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) $(PKG) | tee $(RECORD)

bench-diff: ## compare the records OLD and NEW                     (go tool -modfile=tools/go.mod benchstat OLD NEW)
	@test -n "$(OLD)" -a -n "$(NEW)" || { echo "make bench-diff OLD=FILE NEW=FILE"; exit 2; }
	$(BENCHSTAT) $(OLD) $(NEW)

bench-quick: build ## every scenario in small: does it work? three minutes (wsbench run -quick)
	./bin/wsbench run -quick $(ARGS)

bench-full: build ## every scenario beside the floor, into bench/results; 25 minutes
	./bin/wsbench run -floor -out $(NAMED)-full.json $(ARGS)

bench-check: ## the working tree against BASE, in one run; 10 minutes (wsbench compare)
	bench/check.sh $(BASE) -- $(ARGS)

bench-peers: build ## wsify and five other engines in turn, into bench/results; 40 minutes
	cd bench && $(GO) build -o ../bin/peers/ ./peers/...
	./bin/wsbench run -run connect,fanout,mesh,echo,burst,idle -out $(NAMED)-peers.json -against "nbio=bin/peers/nbio" -against "gws=bin/peers/gws" \
		-against "gobwas=bin/peers/gobwas" -against "gorilla=bin/peers/gorilla" -against "centrifuge@centrifuge=bin/peers/centrifuge" $(ARGS)

bench-curve: build ## a curve into bench/results; VARY=content=64,1024,16384 SCENARIO=fanout
	./bin/wsbench run -run $(SCENARIO) -vary $(VARY) -out $(NAMED)-$(SCENARIO)-$(firstword $(subst =, ,$(VARY))).json $(ARGS)

bench-million: ## 1,000,000 connections in one process, in a guest where limits ask for it; an hour; CONNECTIONS=20000 GUEST=yes change it
	bench/lab/million.sh

bench-nodes: build ## two nodes through Redis and NATS, into bench/results; 5 minutes
	./bin/wsbench run -run nodes,resubscribe -out $(NAMED)-nodes.json $(ARGS)

bench-k6: build ## the same server under k6, which is fetched and built once; 3 minutes
	GOBIN=$(CURDIR)/bin/tools $(GO) install go.k6.io/k6@v1.8.1
	./bin/wsify -listen-addr 127.0.0.1:3999 -admin-addr off -broadcasting-key dev -log-level warn & trap "kill $$!" EXIT; \
	./bin/tools/k6 run --no-usage-report --address "" -e ADDR=127.0.0.1:3999 $(ARGS) bench/k6/wsify.js

bench-tcpkali: build ## the same under tcpkali, where there is one
	./bin/wsify -listen-addr 127.0.0.1:3999 -admin-addr off -log-level warn & trap "kill $$!" EXIT; ADDR=127.0.0.1:3999 bench/tcpkali/fanout.sh

bench-report: build ## bench/REPORT.md, report.html and charts, of RECORDS
	./bin/wsbench report -out bench $(RECORDS)

# The tools are fetched and built once, by the versions that are here. nfpm from 2.46 on needs a module that is not on every proxy.
release: release-tools ## archives, debs, rpms, SBOMs and checksums into bin/release; VERSION=4.0.0
	VERSION=$(VERSION) deploy/release.sh "$(RELEASE)" $(ARCHS)

release-tools:
	GOBIN="$(TOOLS)" $(GO) install github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
	GOBIN="$(TOOLS)" $(GO) install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
	CGO_ENABLED=0 $(GO) build -trimpath -o /dev/null ./cmd/wsify # the packages of a release are compiled

# Programs that tests use to check the chart, and the configuration of Envoy. Without optimization they take half the time to
# compile, and that is most of their time.
checkers:
	for m in chart envoy; do (cd test/$$m && $(GO) vet $(LEAN) . && $(GO) build $(LEAN) -ldflags="-s -w" -o "$(TOOLS)/$$m" .) || exit 1; done

conformance: ## RFC 6455 on bytes and on a real socket, and clients of others
	$(GO) test -tags invariants -count 1 ./internal/wire
	$(GO) test -tags invariants -count 1 -run 'Conformance|Script|Cut|Upgrade|Head' ./internal/session
	$(GO) test -count 1 -run 'Clients' ./test

.PHONY: help build run quick update test tidy modules plain race check fmt vet staticcheck types fuzz conformance e2e release release-tools checkers bench bench-diff bench-quick bench-full \
	bench-check bench-peers bench-curve bench-million bench-nodes bench-k6 bench-tcpkali bench-report
