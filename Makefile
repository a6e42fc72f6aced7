# Every target is what a reader would have typed. Nothing needs installing but Go; the tests
# under test/ say what they need besides, and are skipped without it.
SHELL       = /bin/bash
.SHELLFLAGS = -eu -o pipefail -c

GO        ?= go
COUNT     ?= 10
FUZZTIME  ?= 30s
PKG       ?= ./...
ARGS      ?=
BASE      ?=
SCENARIO  ?= echo
CURVES    ?=
OLD       ?=
NEW       ?=
MODULES    = test/clients test/compose bench/peers bench/report
STATIC     = $(GO) tool -modfile=tools/go.mod staticcheck
BENCHSTAT  = $(GO) tool -modfile=tools/go.mod benchstat
RECORD    ?= bench/results/go-$(shell date -u +%Y-%m-%d-%H%M%S).txt

help: ## print this list
	@awk -F ':.*## ' '/^[a-zA-Z0-9_-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./bin/wsify, ./bin/wsbench and ./bin/echo      (go build -o bin/ ./cmd/... ./bench/echo ./bench/wsbench)
	$(GO) build -o bin/ ./cmd/... ./bench/echo ./bench/wsbench

run: ## run the server; ARGS="-ping-interval 1m"            (go run ./cmd/wsify -broadcasting-key dev)
	$(GO) run ./cmd/wsify -broadcasting-key dev $(ARGS)

test: ## all tests, with invariant checks on                 (go test -tags invariants ./...)
	$(GO) test -tags invariants $(PKG)

plain: ## the same without checks: what must not allocate     (go test -short ./..., but for bench)
	$(GO) test -short $$($(GO) list $(PKG) | grep -v /bench/)

race: ## the same under the race detector, in short          (go test -race -short ./...)
	$(GO) test -race -short $(PKG)

check: fmt vet staticcheck test modules plain race report-check ## what CI runs, but for other systems and fuzzing

fmt: ## list files that gofmt would change, and fail        (gofmt -l .)
	@files=$$(gofmt -l .); test -z "$$files" || { echo "gofmt would change:"; echo "$$files"; exit 1; }

vet: ## go vet, with and without invariant checks           (go vet ./...)
	$(GO) vet ./...
	$(GO) vet -tags invariants ./...
	for m in $(MODULES); do (cd $$m && $(GO) vet ./...); done

staticcheck: ## staticcheck, with and without them                  (go tool -modfile=tools/go.mod staticcheck ./...)
	$(STATIC) ./...
	$(STATIC) -tags invariants ./...
	$(GO) build -modfile=tools/go.mod -o bin/tools/staticcheck honnef.co/go/tools/cmd/staticcheck
	for m in $(MODULES); do (cd $$m && "$(CURDIR)/bin/tools/staticcheck" ./...); done

modules: ## the tests of the modules beside the product's          (cd bench/peers && go test ./...)
	for m in bench/peers bench/report; do (cd $$m && $(GO) test ./...); done

# Before Go 1.27 a search whose time is up may call that a failure (golang/go#75804). It is
# none when there is no input that fails.
fuzz: ## each fuzz target for FUZZTIME; PKG=./internal/wire for one package
	@said=$$(mktemp); trap 'rm -f "$$said"' EXIT; \
	for p in $$($(GO) list $(PKG)); do \
		names=$$($(GO) test -list '^Fuzz' $$p); \
		for f in $$(grep '^Fuzz' <<<"$$names" || true); do \
			echo "$$p $$f"; \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$p 2>&1 | tee "$$said" || \
				{ grep -qx ' *context deadline exceeded' "$$said" && ! grep -qE 'Failing input|corpus entry' "$$said"; } || exit 1; \
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
	$(GO) test -tags invariants -count 1 -run 'Conformance|Script|Cut|Upgrade|Head' ./internal/server
	$(GO) test -count 1 -run 'Clients' ./test

e2e: ## everything under test/, with a browser, npm, engines, proxies, which root installs from Debian
	E2E=1 $(GO) test -count 1 -v ./test/... ./bench/beside

.PHONY: help build run test modules plain race check fmt vet staticcheck fuzz bench bench-diff bench-quick bench-goals bench-peers \
	bench-check bench-curves bench-million bench-nodes bench-k6 bench-tcpkali bench-profile bench-report report-check conformance e2e
