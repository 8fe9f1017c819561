# The commands of the project. `make demo` and `make test` do all the set-up there is; each installs
# what is missing and nothing the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := tests/interop/node
NATIVE := . core engine front journal journal/native load audit report
ENGINE := $(wildcard $(foreach suffix,pyx pxd pxi h,\
    $(foreach folder,$(NATIVE),src/atp/$(folder)/*.$(suffix))))

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick bench peers load test-sanitize fuzz attack crash lint format \
    proto build clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml tools/install_system.sh $(NODE)/package-lock.json
	@PYTHON=$(PYTHON) tools/install_system.sh
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "atp: installing Python packages into $(VENV)"
	@$(BIN)/pip install -q --disable-pip-version-check "setuptools>=77" "cython>=3.1,<4" "numpy>=2.0"
	@ATP_PROFILE=skip \
	    $(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -e ".[dev]"
	@echo "atp: installing Node.js packages into $(NODE)"
	@cd $(NODE) && npm ci --silent --no-audit --no-fund
	@touch $@

# Most tests wait for servers: two files at once take half the time. A file's own stay together.
BOTH := -n 2 --dist loadfile

BUILDING := setup.py tools/build_native.py $(wildcard tools/train*.py)
$(VENV)/.built: $(VENV)/.installed $(BUILDING) $(ENGINE)
	@$(BIN)/python tools/build_native.py $(BUILD)
	@touch $@

build: $(VENV)/.built ## install what is missing, build the native engine (quicker: BUILD=--plain)

demo: build ## a year of real orders as a sale, a kill in the middle, an audit at the end
	@$(BIN)/atp demo $(DEMO)

test: build ## all tests, with short forms of the long campaigns
	@$(BIN)/python -m pytest -q $(BOTH) tests
	@$(BIN)/python -m pytest -q bench
	@$(BIN)/python tools/sanitize.py --short
	@$(BIN)/python tools/fuzz_front/run.py --sanitized --no-build --inputs 30000
	@$(BIN)/python tools/fuzz_front/run.py --short

test-quick: build ## the tests without sanitizers and benchmarks
	@$(BIN)/python -m pytest -q $(BOTH) tests

bench: build ## the benchmarks, full size; writes bench/out
	@$(BIN)/python -m pytest -q bench --full

peers: build ## beside Redis, PostgreSQL, nghttpd: a quarter of an hour; writes docs/peers.svg
	@$(BIN)/python -m pytest -q bench/test_peers.py --full --timeout=0

PROFILE ?= drop
load: build ## a sale before the sale, audited (PROFILE=drop FAULTS=kill,pause LOAD="--seconds N")
	@$(BIN)/python -m loadtests --profile $(PROFILE) --faults "$(FAULTS)" $(LOAD)

test-sanitize: build ## the engine's tests under ThreadSanitizer, and AddressSanitizer with UBSan
	@$(BIN)/python tools/sanitize.py

fuzz: build ## long random histories, and ten million inputs to the front (FUZZ="--seed N")
	@$(BIN)/python -m pytest -q tests/test_machine.py tests/test_histories.py \
	    --hypothesis-profile=long --timeout=0
	@$(BIN)/python tools/fuzz_front/run.py $(FUZZ)
	@$(BIN)/python tools/fuzz_front/run.py --sanitized --inputs 500000

attack: build ## known attacks, and what they cost another client (ATTACK="--seconds N NAME")
	@$(BIN)/python tools/attack.py $(ATTACK)

crash: build ## kill a server 200 times in every way, and count what it lost (CRASH="--kills N")
	@$(BIN)/python tools/crash.py $(CRASH)

lint: build ## ruff, mypy and the proto rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python tools/lint_proto.py

format: build ## put the Python code in shape
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

proto: build ## generate src/atp/v1 from proto/
	@$(BIN)/python tools/generate_proto.py

clean: ## remove what was built, not what was installed
	@rm -rf build $(wildcard src/atp/*.so src/atp/*/*.so $(VENV)/.built) bench/out
	@rm -f src/atp/_core.cpp src/atp/_front.cpp src/atp/*/_native.cpp tools/fuzz_front/*.cpp
