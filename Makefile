# One line a job; what takes more than a few lines is in .ci/.
.DEFAULT_GOAL := help
.PHONY: help format build test check publish aot-proof agree fuzz arm64 end-to-end bench locks clean torture load
CONFIGURATION ?= Debug

help: ## what can be made
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

format: ## white space as .editorconfig says; code style is checked by the build
	dotnet format whitespace Yoi.slnx --verify-no-changes

build: ## everything, warnings are errors
	dotnet build Yoi.slnx -c $(CONFIGURATION) --nologo -v q

test: ## unit, structure and end-to-end tests on the debug build
	dotnet test Yoi.slnx -c $(CONFIGURATION) --no-progress

agree: build ## file tools, commands of both levels and the reference model on 1,000 random rule sets (YOI_RULE_SETS, YOI_SEED)
	YOI_RULE_SETS=$${YOI_RULE_SETS:-1000} artifacts/bin/Yoi.Tests/debug/Yoi.Tests --no-progress --filter-class '*ToolsAndBashAgreeTests' --output Detailed

check: format build test ## what must be green before a commit

publish: ## one runnable at dist/yoi; says which kind it is and why
	@.ci/publish

aot-proof: ## the same code for net9.0 as Native AOT, at dist/aot-proof/yoi; nobody ships it
	@.ci/aot-proof

arm64: ## compiles for arm64; nothing more is asked of it here
	dotnet build src/Yoi -p:PlatformTarget=ARM64 -p:UseAppHost=false -p:RunAnalyzers=false -p:ArtifactsPath=$(CURDIR)/artifacts/arm64 --nologo -v q

end-to-end: ## the end-to-end tests on the binary YOI_BIN (default: dist/yoi)
	YOI_BIN=$${YOI_BIN:-$(CURDIR)/dist/yoi} dotnet test --project tests/Yoi.EndToEnd --no-progress

fuzz: build ## mutated bytes for all that reads what others wrote, SECONDS= a target (60), SEED= to repeat one
	YOI_FUZZ_SECONDS=$${SECONDS:-60} YOI_SEED=$(SEED) artifacts/bin/Yoi.Tests/debug/Yoi.Tests --no-progress --show-live-output on --filter-namespace 'Yoi.Tests.Fuzz*'

torture: publish ## faults at every step for SECONDS (60) from SEED, real processes; writes its table into REPORT if given
	YOI_BIN=$(CURDIR)/dist/yoi YOI_TORTURE_SECONDS=$(or $(SECONDS),60) YOI_TORTURE_SEED=$(SEED) YOI_TORTURE_ONLY=$(ONLY) YOI_TORTURE_REPORT=$(abspath $(REPORT)) \
	  dotnet run --project tests/Yoi.EndToEnd -- --no-progress --output Detailed --filter-method '*Whatever_is_killed*'

load: publish ## the large cases in full: 100 Pods in one tree for SECONDS (600) from SEED, then the others
	YOI_BIN=$(CURDIR)/dist/yoi YOI_FULL=1 YOI_LOAD_SECONDS=$(or $(SECONDS),600) YOI_LOAD_SEED=$(SEED) dotnet run --project tests/Yoi.EndToEnd -- --no-progress --output Detailed --filter-class '*LoadTests' '*LongLifeTests' '*LendingTests'
	YOI_BIN=$(CURDIR)/dist/yoi YOI_FULL=1 dotnet run --project tests/Yoi.Tests -- --no-progress --output Detailed --filter-class '*ManyTests' '*ExactlyOnceTests' '*CrowdTests' '*AttachTests' '*TableProcessTests' '*SpawnTests' '*ServedProcessTests' '*QuietTests' '*TableStepTests' '*ManyCommandsTests' '*Socket.LimitTests' '*InterleavingTests'

bench: publish ## writes docs/performance.md from figures taken now, on this machine
	@.ci/publish ready-to-run
	-@.ci/aot-proof
	dotnet run -c Release --project bench/Yoi.Benchmarks -- --write docs/performance.md

locks: ## after a package was added or changed: writes all lock files anew
	dotnet restore Yoi.slnx --force-evaluate
	dotnet restore src/Yoi -r linux-x64 -p:AotProof=true -p:PublishAot=true --force-evaluate

clean: ## removes what was built
	rm -rf artifacts dist
