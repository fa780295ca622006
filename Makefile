# make demo | make test | make lint | make wheel | make bundles: each makes .venv when it is missing. Plain `pip install -e .` works too.
PYTHON ?= python3
BIN := .venv/bin
# constraints.txt: the versions that the tests were run with
READY := .venv/.ready

.PHONY: demo test lint wheel bundles clean

demo: $(READY)
	$(BIN)/kdseg demo --out demo

test: $(READY)
	$(BIN)/python -m pytest -n 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# setuptools packs what an older build left
wheel: $(READY)
	rm -rf build dist
	$(BIN)/python -m build --wheel --no-isolation

# the files that the bundles share, from bundles/parts
bundles: $(READY)
	$(BIN)/python bundles/parts/assemble.py

$(READY): setup.py setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,lint,onnx,openvino,tune]"
	touch $@

clean:
	rm -rf .venv demo build dist *.egg-info
