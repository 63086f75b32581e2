# Everything that is done to this repository is a target here; `make help` lists them.
# One set of build flags, everywhere: another set compiles SQLite again. QPSG keeps
# SQLite from planning each prepared statement anew on every execution.
export CGO_ENABLED := 1
export CGO_CFLAGS := -O2 -g -DSQLITE_ENABLE_QPSG=1
export GOFLAGS := -tags=sqlite_fts5

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

TOOLS := go tool -modfile=internal/tools/go.mod
DIST := web/static/dist
E2E_ENV := internal/e2e/driver/env

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build, and start the demo on http://127.0.0.1:8080
	bin/console demo

.PHONY: build
build: assets ## the program, in bin/console
	go build -o bin/console ./cmd/console

.PHONY: generate
generate: ## Go code from the templates
	go tool templ generate -log-level=error

.PHONY: assets
assets: $(DIST)/.built ## styles, scripts, font and icons, in web/static/dist

web/assets/node_modules/.stamp: web/assets/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js with npm is needed to build the front end" >&2; exit 1; }
	npm ci --prefix web/assets --prefer-offline --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

$(DIST)/.built: web/assets/node_modules/.stamp $(wildcard web/assets/*.css web/assets/*.js web/assets/*.mjs) $(wildcard web/templates/*.templ)
	cd web/assets && node build.mjs
	touch $@

.PHONY: check
check: generated assets ## generated code up to date, vet, linters, imports, known vulnerabilities
	go mod tidy -diff
	go vet ./...
	$(TOOLS) golangci-lint run ./...
	go test ./internal/imports
	$(TOOLS) govulncheck $(if $(GOVULNDB),-db "$(GOVULNDB)") ./...

.PHONY: generated
generated: generate ## fails where the committed generated code is out of date
	@git diff --exit-code --stat -- '*_templ.go' || { echo "run 'make generate' and commit the result" >&2; exit 1; }

.PHONY: test
test: build $(E2E_ENV) ## the whole suite, in real Chromium too
	source $(E2E_ENV) && go test -timeout 40m ./...

$(E2E_ENV): internal/e2e/setup.sh internal/e2e/node/package-lock.json
	internal/e2e/setup.sh $@

.PHONY: test-short
test-short: assets ## the suite without browser and kill tests
	go test -short ./...

.PHONY: bench
bench: build $(E2E_ENV) ## speed and size as ratios to ceilings measured in the same run, in bench/
	source $(E2E_ENV) && go build -o bin/bench ./internal/bench && bin/bench

.PHONY: bench-history
bench-history: ## searches in a history of 5,000,000 entries, which it makes first; takes about twenty minutes and 8 GB
	source $(E2E_ENV) && go build -o bin/bench ./internal/bench && bin/bench -history $(or $(ENTRIES),5000000) $(if $(KEEP),-keep $(KEEP))

.PHONY: storm
storm: build ## kills and faults at random while people work, then the invariants
	go test -timeout 60m -count=1 -run 'TestKills' ./internal/storm -args -kills=$(or $(KILLS),1000)

.PHONY: mutants
mutants: assets ## plants bugs, wakes one at a time, and requires that a test catches each
	go test -timeout 20m -count=1 -v -run TestMutants ./internal/mutant

.PHONY: attack
attack: build ## sqlmap and wapiti against a running demo, as several of its people; takes about twenty minutes
	internal/attack/setup.sh && go run ./internal/attack

.PHONY: screenshots
screenshots: build $(E2E_ENV) ## pictures of every page, both themes, two widths, in docs/screenshots
	source $(E2E_ENV) && SCREENSHOTS=$(CURDIR)/docs/screenshots go test -count=1 -run 'TestPages$$|TestTeamPages|TestReadingPages|TestReviewInTheBrowser|TestPasskeyInTheBrowser|TestSignInThroughProvider' ./internal/e2e

.PHONY: clean
clean: ## remove what was built
	rm -rf bin bench $(DIST)/* $(DIST)/.built web/assets/node_modules internal/e2e/node/node_modules internal/e2e/driver
