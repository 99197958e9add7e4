# make demo   run the whole pipeline on a generated sample (a minute or two after installation)
# make test   run every test: the fast ones, the slow ones and those on real clips
# make check  check format, lint, types, imports, unused code and architecture
# make format format the code, and fix what the linter can
# make bench  compare measured figures with their targets
# make docs   build the documentation site in build/site
#
# Each target creates the virtual environment that it needs. PYTHON must be 3.11 or 3.12:
# make demo PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
VENV_DEMO ?= .venv-demo
PIP = -m pip --disable-pip-version-check
# Images of Python for containers forbid bytecode; hundreds of processes would each compile the same modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check format bench docs clean

demo: $(VENV_DEMO)/done
	$(VENV_DEMO)/bin/theval-data demo -o demo-out

test: $(VENV)/done
	$(VENV)/bin/python -m pytest -m "" -n 3 --dist loadfile --no-loadscope-reorder

check: $(VENV)/done
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/python -m mypy
	$(VENV)/bin/python scripts/check_imports.py
	$(VENV)/bin/python scripts/check_unused.py
	$(VENV)/bin/python -m pytest -q tests/test_architecture.py

format: $(VENV)/done
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/done
	$(VENV)/bin/python -m benchmarks

docs: $(VENV)/done
	$(VENV)/bin/python scripts/make_docs.py
	$(VENV)/bin/zensical build --strict --clean

clean:
	rm -rf $(VENV) $(VENV_DEMO) build demo-out bench-out *.egg-info

$(VENV_DEMO)/done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV_DEMO)
	$(VENV_DEMO)/bin/python $(PIP) install -q -c constraints.txt -e '.[demo]'
	touch $@

$(VENV)/done: pyproject.toml constraints.txt constraints-evaltalker.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP) install -q -c constraints.txt -c constraints-evaltalker.txt -e '.[demo,dev]'
	touch $@
