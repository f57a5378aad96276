# Each step is one line that also works without make.
PYTHON ?= python3
ARGS ?=
# Bytecode is written even if the machine forbids it: the tests start hundreds of Python processes.
PYTEST = PYTHONDONTWRITEBYTECODE= .venv/bin/python -m pytest -n auto --dist worksteal

help:            ## list these commands
	@grep -hE '^[a-z]+: .*##' Makefile | sed -E 's/^([a-z]+): [^#]*## /  make \1\t/' | expand -t 20
demo: ready-demo ## run a login page and phones to play with (ARGS=--help lists its flags, ARGS=--self-check checks it instead)
	$(if $(ARGS),,@echo 'Give flags in ARGS, such as make demo ARGS="--lan --port 8080". ARGS=--help lists them.')
	@.venv/bin/python -m qrlogin demo $(ARGS)
check: ready     ## lint, types, and the tests that start no other program (1 min)
	@.venv/bin/ruff check && .venv/bin/ruff format --check
	@.venv/bin/mypy
	@$(PYTEST) --fast -rNfER $(ARGS)
test: ready-test ## every test that is not slow (ARGS="-k word" for some, "-n0" for one process)
	@$(PYTEST) -m "not matrix" $(ARGS)
matrix: ready-test ready-matrix ## the slow tests: public clients, other browsers, fresh environments
	@$(PYTEST) -m matrix $(ARGS)
attack: ready-test ## the attackers at full size, a table of what they got (ARGS="reader writer" for some)
	@PYTHONPATH=tools .venv/bin/python -m tests.attackers $(ARGS)
soak: ready-test ## 100 000 logins in each store and endpoint, and what grew (ARGS="memory --logins 5000")
	@PYTHONPATH=tools .venv/bin/python -m tests.faults.soak $(ARGS)
faults: ready-test ## logins while servers, networks and processes fail, and a table (ARGS="D8 D2 --seed 7" or --long)
	@PYTHONPATH=.:tools .venv/bin/python -m tests.faults $(ARGS)
mutants: ready-test ## change the code in one place at a time, and see whether its tests fail (ARGS="--sample 50")
	@PYTHONPATH=tools .venv/bin/python tools/mutants.py $(ARGS)
bench: ready-test ## ours, the tutorial and the peers side by side: docs/performance.md (ARGS=quick for 2 min)
	@PYTHONPATH=.:tools .venv/bin/python -m benchmarks $(ARGS)
docs: ready      ## the site of docs/ and the docstrings, into build/site/
	@PYTHONPATH=tools .venv/bin/python tools/build_docs.py $(ARGS)
lint: ready      ## ruff: rules and format
	@.venv/bin/ruff check $(ARGS) && .venv/bin/ruff format --check
types: ready     ## mypy --strict
	@.venv/bin/mypy $(ARGS)
	@for app in examples/*/; do (cd $$app && ../../.venv/bin/mypy --config-file ../../pyproject.toml .) || exit 1; done
elements: ready  ## the bundle, TypeScript declarations and manifest, after a change in qrlogin/browser
	@PYTHONPATH=tools .venv/bin/python tools/build_elements.py
build: ready     ## wheel and sdist into dist/
	@.venv/bin/python -m hatchling build --clean -d dist
constraints:     ## update constraints.txt to the newest versions
	@$(PYTHON) tools/constraints.py
ready:
	@$(PYTHON) tools/bootstrap.py dev
ready-test: ready
	@$(PYTHON) tools/system_parts.py
	@$(PYTHON) tools/npm_parts.py
ready-matrix:
	@$(PYTHON) tools/system_parts.py engines
	@$(PYTHON) tools/npm_parts.py tests/spa/app tests/browser/frameworks tests/engines tests/npm tools/elements
ready-demo:
	@$(PYTHON) tools/bootstrap.py demo

.DEFAULT_GOAL := help
.PHONY: help demo check test matrix attack faults soak mutants bench docs lint types elements build constraints ready ready-test ready-matrix ready-demo
