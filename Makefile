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
SCENARIO  ?= echo
CURVES    ?=
OLD       ?=
NEW       ?=
TAGGED     = ./internal/invariants # where files differ by the tag
MODULES    = test/clients test/compose bench/peers bench/report tools
STATIC     = $(CURDIR)/bin/tools/staticcheck
BENCHSTAT  = $(GO) tool -modfile=tools/go.mod benchstat
RECORD    ?= bench/results/go-$(shell date -u +%Y-%m-%d-%H%M%S).txt

help: ## print this list
	@awk -F ':.*## ' '/^[a-zA-Z0-9_-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./bin/wsify, ./bin/wsbench and ./bin/echo      (go build -o bin/ ./cmd/... ./bench/echo ./bench/wsbench)
	$(GO) build -o bin/ ./cmd/... ./bench/echo ./bench/wsbench

run: ## run the server; ARGS="-ping-interval 1m"            (go run ./cmd/wsify -broadcasting-key dev)
	$(GO) run ./cmd/wsify -broadcasting-key dev $(ARGS)

quick: fmt vet ## a small change in under a minute: format, vet, short tests  (go test -short -tags invariants ./...)
	$(GO) test -short -tags invariants $(PKG)

update: ## write what is generated: -help's text, the table of settings, scripts
	$(GO) test -tags invariants ./cmd/wsify ./internal/session ./test -run 'Help|Settings|Scripts' -update

# In two steps: check needs Go, make and a C compiler; e2e needs a browser, proxies and the like.
check: fmt vet staticcheck tidy types test modules plain race report-check fuzz ## everything but e2e; 7 minutes, most of them tests under the race detector

e2e: ## the tests with programs of others, which root installs from Debian; 2 minutes
	E2E=1 $(GO) test -count 1 $(TESTFLAGS) ./test/... ./bench/beside

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

modules: ## the tests of the modules beside the product's          (cd bench/peers && go test ./...)
	for m in bench/peers bench/report; do (cd $$m && $(GO) test ./...); done

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

bench-quick: ## every scenario of wsbench in small, three minutes (go run ./bench/wsbench -quick)
	$(GO) build -o bin/ ./cmd/wsify ./bench/wsbench
	./bin/wsbench -quick $(ARGS)

bench-goals: ## every scenario in full, into bench/results         (bench/record.sh goals)
	bench/record.sh goals -idle-rounds 3 $(ARGS)

bench-check: ## the working tree against BASE, in one run          (bench/check.sh)
	bench/check.sh $(if $(BASE),-b $(BASE)) $(if $(ARGS),-- $(ARGS))

bench-peers: ## wsify and six other engines in turn, into bench/results (bench/peers.sh)
	bench/peers.sh $(ARGS)

bench-curves: ## loops, shards, workers, queue, connections, content (bench/curves.sh)
	bench/curves.sh $(CURVES)

bench-million: ## 1,000,000 connections in one process, in a guest where limits ask for it (bench/lab/million.sh)
	bench/lab/million.sh $(ARGS)

bench-nodes: ## two nodes through Redis and NATS against one, into bench/results (bench/nodes.sh)
	bench/nodes.sh $(ARGS)

bench-k6: ## k6's scripts, then wsbench with the same load; fetches k6 (bench/k6)
	$(GO) build -o bin/tools/beside ./bench/beside
	./bin/tools/beside $(ARGS) k6

bench-tcpkali: ## the same by a tcpkali on the PATH                    (bench/tcpkali)
	$(GO) build -o bin/tools/beside ./bench/beside
	./bin/tools/beside $(ARGS) tcpkali

bench-profile: ## where a scenario's CPU goes; SCENARIO=echo            (bench/profile.sh)
	bench/profile.sh $(SCENARIO) $(ARGS)

bench-report: ## bench/REPORT.md, its charts and docs/scale.md         (cd bench/report && go run .)
	cd bench/report && $(GO) run . -results ../results -out ..

report-check: ## fail when they are not what the records give         (cd bench/report && go run . -check)
	cd bench/report && $(GO) run . -results ../results -out .. -check

conformance: ## RFC 6455 on bytes and on a real socket, and clients of others
	$(GO) test -tags invariants -count 1 ./internal/wire
	$(GO) test -tags invariants -count 1 -run 'Conformance|Script|Cut|Upgrade|Head' ./internal/session
	$(GO) test -count 1 -run 'Clients' ./test

.PHONY: help build run quick update test tidy modules plain race check fmt vet staticcheck types fuzz bench bench-diff bench-quick bench-goals bench-peers \
	bench-check bench-curves bench-million bench-nodes bench-k6 bench-tcpkali bench-profile bench-report report-check conformance e2e
