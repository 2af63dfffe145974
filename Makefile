# One word each. `make sweep` and `make test` need Python >= 3.11 and nothing else.
PYTHON ?= python3
PY = .venv/bin/python
SPACE ?= exp_grid
export PYTHONDONTWRITEBYTECODE :=
SWEEP ?= $(shell ls -td ray_results/*/ 2>/dev/null | head -1)

.PHONY: sweep test test-slow test-all test-lowest release setup setup-dev lint fix dlip report board docs bench clean

sweep: setup  ## the main job: search, then cross-validate the best configuration
	$(PY) sweeps/run.py --space $(SPACE) --cv

test: setup-dev  ## everything that must hold
	@echo "4,700 tests, a worker per core: 8 to 12 minutes on 2 cores"
	$(PY) -m pytest -m "not slow" --durations=20

test-slow: setup-dev  ## those that take minutes: sweeps that are killed, every scheduler, the notebook
	@echo "97 tests, a worker per core and one more: about 40 minutes on 2 cores"
	$(PY) -m pytest -m slow --dist=worksteal --durations=20

test-all: test test-slow

setup: .venv/installed

setup-dev: .venv/installed-dev

lint: setup-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

fix: setup-dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

dlip: setup  ## the 208 published micrographs into data/dlip (152 MB)
	$(PY) -m deepdlt download

report: setup  ## of the newest sweep, or SWEEP=ray_results/<sweep>
	$(PY) sweeps/report.py $(SWEEP)

board: setup  ## TensorBoard of the newest sweep, or SWEEP=ray_results/<sweep>, on http://localhost:6006
	.venv/bin/tensorboard --logdir $(or $(SWEEP),ray_results)

docs: setup  ## write the generated pages: hyperparameters, command line, files and columns
	$(PY) docs/generate.py

release: setup-dev  ## sources and wheel into dist/
	rm -rf dist build
	$(PY) -m build

test-lowest:  ## the fast tests with the oldest versions that pyproject.toml allows, in .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/python -m uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct \
	  --editable '.[dev]'
	.venv-lowest/bin/python -m pytest -m "not slow"

bench: setup-dev  ## measure this machine
	$(PY) tests/benchmarks/waiting_times.py
	$(PY) tests/benchmarks/plain_tune.py --out docs/performance.md
	$(PY) tests/benchmarks/training_speed.py --out docs/performance.md

clean:  ## what can be made again; sweeps in ray_results/ are kept
	rm -rf data/synthetic data/patches build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# uv installs in a third of the time that pip takes; where it cannot be had, or cannot install, pip does the same.
# Modules are compiled once, here: else every process would compile PyTorch anew where Python may not write .pyc files.
define install
	@$(PY) -m uv --version >/dev/null 2>&1 || $(PY) -m pip install --quiet --constraint constraints.txt uv \
	  || echo "no uv here; pip installs the same, in minutes"
	@$(PY) -m uv --version >/dev/null 2>&1 \
	  && $(PY) -m uv pip install --quiet --compile-bytecode --python $(PY) --constraint constraints.txt --editable $(1) \
	  || $(PY) -m pip install --quiet --constraint constraints.txt --editable $(1)
	@touch $@
endef

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12")'
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@echo "installing into .venv (6 GB, most of it PyTorch for GPUs: about a minute, without uv 3 to 5)"
	$(call install,.)

.venv/installed-dev: .venv/installed
	@echo "installing what the tests need"
	$(call install,'.[dev]')
