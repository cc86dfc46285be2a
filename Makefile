# Two commands do all set-up: `make run` and `make test`. The others are for developers.
HOST ?= 127.0.0.1
PORT ?= 8080
ARGS ?=
PYTHON ?= python3
BIN := .venv/bin
NATIVE := $(shell find sfu/native -name '*.cpp' -o -name '*.h' -o -name CMakeLists.txt 2>/dev/null)
TLS := $(if $(filter-out 127.0.0.1 localhost ::1,$(HOST)),--tls self-signed --generate-key)

.PHONY: run test test-all check dev test-native sanitize fuzz bench clean

run: .venv/run.stamp ## install, build and serve on loopback with embedded defaults
	$(BIN)/parley serve --host $(HOST) --port $(PORT) $(TLS) $(ARGS)

test: .venv/test.stamp ## install what tests need, and pass them
	tools/test

test-all: .venv/test.stamp ## besides: what measures time, load and loss, every codec, browser and size, TSan, clang-tidy
	tools/test all

check: .venv/test.stamp ## format, lint, types, floors, unit tests
	tools/check

dev: .venv/test.stamp ## a developer's checkout: everything installed, the git hook set
	git config core.hooksPath tools/hooks

test-native: .venv/test.stamp ## the core's own unit tests
	tools/native plain

sanitize: .venv/test.stamp ## the core under clang-tidy, ASan+UBSan (with its fuzz corpora) and TSan
	tools/native tidy && tools/native asan && tools/native tsan

fuzz: .venv/test.stamp ## every fuzz target, FUZZ_SECONDS each (default 60)
	tools/system-packages fuzz && tools/fuzz

bench: .venv/run.stamp ## what forwarding costs on this machine
	$(BIN)/parley bench load --runs 3 --plot $(ARGS)

clean:
	rm -rf .venv build

.venv/python.stamp:
	tools/system-packages run
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --upgrade pip
	touch $@

.venv/run.stamp: .venv/python.stamp pyproject.toml tools/system-packages $(NATIVE)
	tools/system-packages run
	$(BIN)/python -m pip install -q -e .
	touch $@

.venv/test.stamp: .venv/python.stamp pyproject.toml tools/system-packages $(NATIVE)
	tools/system-packages test
	$(BIN)/python -m pip install -q -e '.[test,dev]'
	touch $@ .venv/run.stamp
