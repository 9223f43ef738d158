# On a bare machine, with Python 3.11 or 3.12, a C++ compiler and CMake:
#   make train    set up, build, and start training in simulation    (options: make train ARGS="--help")
#   make test     set up, build, and run every test
#   make build    set up and build; then `. .venv/ros.sh` gives a shell with the `hilrl` command
#   make lint     ruff: rules and formatting
#   make clean    remove what was built; the virtual environment stays

# A name on PATH may be a shim without a Python behind it: take the first one that really runs.
# With ROS sourced it must be the Python that ROS was built for, which is the system's.
CANDIDATES := $(if $(ROS_DISTRO),/usr/bin/python3) python3.12 python3.11 python3 python
PYTHON := $(shell for python in $(CANDIDATES); do \
	"$$python" -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 12) or exit(1); print(sys.executable)' \
	2>/dev/null && break; done)

.PHONY: help train test build lint clean require-python

help:
	@sed -n '/^#   make/s/^# //p' Makefile

train: build
	@. .venv/ros.sh && exec hilrl up train --evaluate 100 $(ARGS)

test: build
	@. .venv/ros.sh && exec python .ci/test.py $(ARGS)

build: require-python
	@$(PYTHON) bootstrap.py

lint: require-python
	@$(PYTHON) bootstrap.py --no-build
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

clean:
	rm -rf build install log .pytest_cache .ruff_cache

require-python:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or 3.12 found (tried: $(CANDIDATES))." \
		"Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
