# Everything a developer or CI does. `make help` lists the targets.

GO      ?= go
BIN     ?= bin/headroom
FUZZ    ?= 10s
# Folders that hold Go code of ours.
PACKAGES = ./...

.PHONY: bench-fleet scoreboard-bound scoreboard-check scoreboard-heavy scoreboard-locks help build test deps check fmt vet staticcheck imports cross vuln race bench fuzz web acceptance acceptance-predicted scoreboard scoreboard-train bench-engine bench-profiler bench-memory

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | sort | column -t -s '	'

build: ## build bin/headroom
	$(GO) build -trimpath -o $(BIN) ./cmd/headroom

# One package at a time: tests that drill a target need both cores.
test: deps ## install what the tests need, and run them
	@# Compiled on all cores first: one package at a time is for what they measure.
	$(GO) list -test -export $(PACKAGES) >/dev/null
	$(GO) test -p 1 -parallel 4 -timeout 15m $(PACKAGES)

deps: ## install the system packages that the tests need (chromium, prometheus)
	@sh .ci/deps

check: fmt vet staticcheck imports cross ## everything that is checked without running the product

fmt:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt'ed:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet $(PACKAGES)

staticcheck:
	$(GO) tool staticcheck $(PACKAGES)

imports: ## fail on an import that runs against the way of the data
	$(GO) test -count=1 -run '^TestImport' ./cmd/headroom

cross: ## build for the systems that candidates use
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/headroom
	GOOS=windows GOARCH=amd64 $(GO) build -o /dev/null ./cmd/headroom

vuln: ## look for known vulnerabilities; its database must be reachable
	$(GO) tool govulncheck $(PACKAGES)

race: deps ## the tests under the race detector
	$(GO) test -race -p 1 -timeout 20m $(PACKAGES)

bench: ## benchmarks, beside vegeta's command line where it can be built
	@GOBIN=$(CURDIR)/bin $(GO) install "github.com/tsenart/vegeta/v12@$$($(GO) list -m -f '{{.Version}}' github.com/tsenart/vegeta/v12)" || \
		echo "left out: vegeta's command line could not be built"
	@echo "left out: wrk2 and k6, which are no packages of Debian"
	PATH=$(CURDIR)/bin:$$PATH $(GO) test -p 1 -run '^$$' -bench . -benchmem -timeout 30m $(PACKAGES)

fuzz: ## each fuzz target for FUZZ (default 10s)
	@set -e; for f in $$(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | xargs -n1 dirname | sort -u); do \
		for t in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$f/*_test.go); do \
			echo "$$f $$t"; $(GO) test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZ) ./$$f; \
		done; done

web: ## rebuild the report's scripts and styles (needs Node)
	cd reports/web && npm ci && npm run build

acceptance: ## drill each known limit five times: about 25 minutes on an idle machine
	HEADROOM_ACCEPTANCE=5 $(GO) test -count=1 -timeout 60m -run '^TestKnownCapacity$$' -v ./cmd/headroom

acceptance-predicted: ## predict each known limit from 60% of it, then go there: about 20 minutes on an idle machine
	HEADROOM_ACCEPTANCE=1 $(GO) test -count=1 -timeout 60m -run '^TestPredictedCapacity$$' -v ./cmd/headroom

scoreboard: ## predict systems with known limits, and write docs/scoreboard.md: about 5 minutes
	HEADROOM_SCOREBOARD=table $(GO) test -count=1 -timeout 30m -run '^TestScoreboard$$' ./capacity/scoreboard

scoreboard-train: ## calibrate the intervals on other systems, and write capacity/calibrated.go: about 40 minutes
	HEADROOM_SCOREBOARD=train $(GO) test -count=1 -timeout 60m -run '^TestScoreboard$$' ./capacity/scoreboard
	gofmt -w capacity/calibrated.go

scoreboard-check: ## the table of systems that nothing was chosen by, printed only: SEED=3
	HEADROOM_SCOREBOARD=check $(GO) test -count=1 -timeout 30m -run '^TestScoreboard$$' -v ./capacity/scoreboard

scoreboard-bound: ## how searches keep a bound of utilisation, and what they predict: SHARE=60 SEED=7
	HEADROOM_SCOREBOARD=bound $(GO) test -count=1 -timeout 30m -run '^TestScoreboard$$' -v ./capacity/scoreboard

scoreboard-locks: ## how locks are predicted that a request takes several times, or not at all
	HEADROOM_SCOREBOARD=locks $(GO) test -count=1 -timeout 30m -run '^TestScoreboard$$' -v ./capacity/scoreboard

scoreboard-heavy: ## how service in which a few requests take most of the work is predicted
	HEADROOM_SCOREBOARD=heavy $(GO) test -count=1 -timeout 30m -run '^TestScoreboard$$' -v ./capacity/scoreboard

bench-engine: ## CPU per request beside wrk and vegeta, against nginx
	@bash .ci/bench-engine

bench-profiler: ## CPU that default capture costs a target, blocks with against blocks without
	HEADROOM_BENCH_PROFILER=1 $(GO) test -count=1 -timeout 10m -run '^TestCostOfCapture$$' -v ./cmd/headroom

bench-memory: ## resident memory over MINUTES (default 10) at 20,000 req/s
	@bash .ci/bench-memory

bench-fleet: ## what merging the windows of 1,000 and 10,000 simulated workers costs
	@for n in 1000 10000; do HEADROOM_BENCH_WORKERS=$$n HEADROOM_BENCH_SECONDS=10 $(GO) test -count=1 -run '^TestSimulatedFleet$$' -v ./loadgen/bus | grep 'workers,'; done
	@for k in 1 4 16; do HEADROOM_BENCH_WORKERS=1000 HEADROOM_BENCH_REQUESTS=$$k HEADROOM_BENCH_SECONDS=10 $(GO) test -count=1 -run '^TestSimulatedFleet$$' -v ./loadgen/bus | grep 'workers,'; done
