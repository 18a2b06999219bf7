VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
IMAGE ?= outpost
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
BENCHSTAT := go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
CYCLONEDX := go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
GO_BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)"
FUZZTIME ?= 30s
BUILD ?= .build
SOAK ?= 10m
DAGRE := 3.1.3
ESBUILD := 0.28.2
D3_ZOOM := 3.0.0
D3_ZOOM_REQUIRES := d3-color@3.1.1 d3-dispatch@3.0.2 d3-drag@3.0.1 d3-ease@3.0.2 d3-interpolate@3.0.2 d3-selection@3.0.1 d3-timer@3.0.2 d3-transition@3.0.2
MERMAID := 12.3.0
REDOCLY := 2.77.0
JSDOM := 26.1.0
AXE := 4.14.1
LIGHTHOUSE := 13.5.0
# The end-to-end tests that also run on Debian's own engine, with cgroup v1 where the machine has it.
DEBIAN_TESTS := TestDocumentedCommands|TestAccessLevels|TestImage|TestMethodsAgree|TestPublishedPortsAreListed|TestListensAndConnectionsOfEveryKind|TestSocketOwnersOnHostNetwork|TestOwnContainerIsKnownInPrivateCgroups|TestTablesAreReadWithoutCapabilities|TestContainerAtPidsLimitIsRead

.PHONY: help setup build run demo demo-down npm test test-vm lint prose bench bench-web fuzz soak vuln sbom web-vendor image dist engine clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## install the hook that checks commit subjects
	.ci/commits install

build: ## build the binary in .build
	$(GO_BUILD) -o $(BUILD)/outpost ./cmd/outpost

run: build ## run the daemon on this machine's engine
	.ci/engine exec $(BUILD)/outpost

demo: image ## start containers that connect to each other, and print Outpost's answers
	go run ./internal/demo up $(IMAGE)

demo-down: ## remove the demo
	go run ./internal/demo down
	-docker image rm $(IMAGE)
	-.ci/engine stop

npm: .build/npm/$(MERMAID)-$(REDOCLY)-$(JSDOM)-$(AXE) ## install the npm packages of the tests in .build

.build/npm/$(MERMAID)-$(REDOCLY)-$(JSDOM)-$(AXE):
	rm -rf .build/npm
	mkdir -p .build/npm
	cd .build/npm && npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefer-offline --prefix . @redocly/cli@$(REDOCLY) jsdom@$(JSDOM) axe-core@$(AXE)
	cd .build/npm && npm pack --silent --prefer-offline mermaid@$(MERMAID) # its bundle needs none of its many dependencies
	cd .build/npm && tar xzf mermaid-$(MERMAID).tgz package/dist/mermaid.esm.min.mjs package/dist/chunks/mermaid.esm.min
	touch $@

test: ## run all tests with the race detector; end to end if an engine answers
	.ci/engine start test
	$(MAKE) npm # after the installation of npm
	go test -race -timeout 15m $$(go list ./... | grep -Ev '/internal/(e2e|web)$$')
	.ci/engine exec env VERSION=$(VERSION) go test -race -timeout 30m -parallel 4 ./internal/e2e
	.ci/engine exec debian env VERSION=$(VERSION) go test -race -timeout 10m -run '^($(DEBIAN_TESTS))$$' ./internal/e2e
	go test -race -timeout 25m ./internal/web # after the others: each loads the whole machine
	go vet -C internal/procnet/procfsbench ./...

test-vm: ## run a part of the end-to-end tests in a virtual machine with Debian trixie
	.ci/vm

lint: prose ## run the linters of .golangci.yml and the language check
	$(GOLANGCI_LINT) run ./... ./.ci/prose

prose: ## check the language: banned phrases, long sentences, dead links
	go test ./.ci/prose
	go run ./.ci/prose

bench: engine ## measure the figures of internal/e2e/BENCHMARKS.md
	mkdir -p .build
	go test -C internal/procnet/procfsbench -run '^$$' -bench . -count 6 . | tee .build/bench-decoder.txt
	$(BENCHSTAT) -col /decoder .build/bench-decoder.txt
	.ci/engine exec go test -run '^$$' -bench Connections -benchtime 5x -count 3 -timeout 60m ./internal/e2e | tee .build/bench-connections.txt
	.ci/engine exec go test -run '^$$' -bench 'AtRest|Counting' -benchtime 1x -timeout 60m ./internal/e2e | tee -a .build/bench-connections.txt
	$(BENCHSTAT) .build/bench-connections.txt
	.ci/engine exec go test -run '^$$' -bench 'Methods|Connected|Sockets|Owners' -benchtime 20x -timeout 60m ./internal/e2e | tee .build/bench-methods.txt
	$(BENCHSTAT) .build/bench-methods.txt
	go test -run '^$$' -bench Fleet -benchtime 10x ./internal/correlate | tee .build/bench-map.txt
	.ci/engine exec go test -run '^$$' -bench Polling -benchtime 1x -timeout 60m ./internal/e2e | tee -a .build/bench-map.txt
	$(BENCHSTAT) .build/bench-map.txt

bench-web: ## measure how fast the page opens and moves in Chromium, and run Lighthouse
	.ci/engine start test
	$(MAKE) .build/lighthouse/$(LIGHTHOUSE)
	go test -run '^$$' -bench 'Page|Layout|Matrix' -benchtime 5x -timeout 20m ./internal/web | tee .build/bench-web.txt
	go test -run '^$$' -bench 'Refreshes|Lighthouse' -benchtime 1x -timeout 40m ./internal/web | tee -a .build/bench-web.txt

.build/lighthouse/$(LIGHTHOUSE):
	rm -rf .build/lighthouse
	mkdir -p .build/lighthouse
	cd .build/lighthouse && npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefer-offline --prefix . lighthouse@$(LIGHTHOUSE)
	touch $@

fuzz: ## fuzz each decoder of foreign bytes for FUZZTIME
	@grep -rno --include='*_test.go' '^func Fuzz[A-Za-z0-9]*' internal | sed 's|/[^/]*_test.go:[0-9]*:func | |' | sort | while read -r package target; do \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$$package" || exit 1; \
	done

soak: engine ## run load and faults for SOAK, and print the result
	SOAK=$(SOAK) .ci/engine exec go test -count 1 -timeout 2h -parallel 1 -v -run '^Test(Soak|ManyContainersComeAndGo)$$' ./internal/e2e

vuln: ## check the called code for known vulnerabilities not named in .ci/vuln-accepted
	.ci/vuln

sbom: ## write the binary's components as a CycloneDX document in .build
	mkdir -p .build
	$(CYCLONEDX) app -json -std -licenses -noserial -main cmd/outpost -output .build/outpost.cdx.json .

web-vendor: ## download the page's libraries with npm and check their checksums
	rm -rf .build/vendor
	mkdir -p .build/vendor
	cd .build/vendor && npm pack --silent @dagrejs/dagre@$(DAGRE) && tar xzf *.tgz
	cp .build/vendor/package/dist/dagre.esm.js internal/web/static/vendor/dagre-$(DAGRE).esm.js
	cp .build/vendor/package/LICENSE internal/web/static/vendor/dagre-$(DAGRE).LICENSE.txt
	cd .build/vendor && npm install --silent --no-save --ignore-scripts --prefix . d3-zoom@$(D3_ZOOM) $(D3_ZOOM_REQUIRES) esbuild@$(ESBUILD)
	cd .build/vendor && echo 'export { zoom, zoomIdentity } from "d3-zoom"; export { select } from "d3-selection";' | \
		node_modules/.bin/esbuild --bundle --format=esm --minify --log-level=warning --outfile=../../internal/web/static/vendor/d3-zoom-$(D3_ZOOM).esm.js
	cd .build/vendor/node_modules && for package in d3-*; do echo "$$package"; cat $$package/LICENSE; echo; done > ../../../internal/web/static/vendor/d3-zoom-$(D3_ZOOM).LICENSE.txt
	cd internal/web/static/vendor && sha256sum -c ../../vendor.sha256

image: engine ## build the image without an image registry
	.ci/image $(IMAGE) $(VERSION)

dist: ## build static binaries for all platforms in .build
	GOOS=linux GOARCH=amd64 $(GO_BUILD) -o .build/outpost-linux-amd64 ./cmd/outpost
	GOOS=linux GOARCH=arm64 $(GO_BUILD) -o .build/outpost-linux-arm64 ./cmd/outpost
	GOOS=darwin GOARCH=arm64 $(GO_BUILD) -o .build/outpost-darwin-arm64 ./cmd/outpost

engine: ## use the running Docker engine, or install and start one
	.ci/engine start

clean: ## remove all build output, and stop the engine that make started
	.ci/engine stop
	rm -rf .build
