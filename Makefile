# Common tasks of the course. `make` alone lists them.
# The recipes suit GNU make 3.81 (macOS) and later; without make, see the README.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
READY_FOR_BOOK := $(VENV)/.book

# A second environment: Google Colab's old notebook packages, and the oldest version of
# everything else that pyproject.toml allows.
COLAB := .venv-colab
READY_FOR_COLAB := $(COLAB)/.ready

# JupyterLab stays quiet offline: its settings in chapters/.jupyterlab ask for neither
# news nor updates, and the list of extensions is not fetched. tests/test_browser.py
# starts it with these flags too.
LAB_FLAGS := --LabApp.app_settings_dir=chapters/.jupyterlab --LabApp.extension_manager=readonly
# In a container one is often root, and JupyterLab refuses to start for root unasked.
AS_ROOT = $(if $(filter 0,$(shell id -u 2>/dev/null)),--allow-root)

# Tests never use the network, and progress bars stay out of the logs.
TEST_ENV := AE_OFFLINE=1 TQDM_DISABLE=1

.DEFAULT_GOAL := help
.PHONY: help lab test test-library test-notebooks test-browser test-colab notebooks book slides data lint clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

lab: $(READY) ## open the chapters in JupyterLab
	$(VENV)/bin/jupyter lab $(LAB_FLAGS) $(AS_ROOT) chapters

test: test-library test-notebooks ## test the library, then run every notebook

# Two files of tests or two notebooks at a time, each with half of the cores: small
# networks gain little from a second core, and two trainings that share all cores would
# wait for each other.
HALF = OMP_NUM_THREADS=$$($(RUN) -c "import os; print(max(1, os.cpu_count() // 2))")
IN_PAIRS = -n 2 --dist loadfile

test-library: $(READY) ## test the library and the repository
	$(TEST_ENV) $(HALF) $(RUN) -m pytest $(IN_PAIRS) --durations=10

NOTEBOOKS = chapters

test-notebooks: $(READY) ## run every chapter and its solutions
	$(TEST_ENV) $(HALF) $(RUN) -m pytest $(IN_PAIRS) -p tests.notebook_report --nbval-lax $(NOTEBOOKS)

test-browser: $(READY) ## drive every chapter in JupyterLab, in a browser
	AE_BROWSER_ALL=1 $(TEST_ENV) $(HALF) $(RUN) -m pytest -n 2 --dist worksteal \
		--durations=0 --durations-min=5 tests/test_browser.py -k chapter_in_the_browser

# The set-up cell and all imports of the chapters, the widgets (in a browser, too, where
# there is one), and what is quick. Old packages warn of their newer helpers; what is ours
# must not warn in the first environment.
COLAB_TESTS = $(addprefix tests/test_, set_up.py explore.py panels.py windows.py properties.py \
	models.py shapes.py metrics.py data.py fetch.py checkpoints.py train.py faults.py classic.py)

test-colab: $(READY_FOR_COLAB) ## test with Colab's versions, the oldest ones supported
	$(TEST_ENV) $(subst $(VENV)/,$(COLAB)/,$(HALF)) $(COLAB)/bin/python -m pytest \
		$(IN_PAIRS) --durations=5 -W ignore::DeprecationWarning $(COLAB_TESTS)

notebooks: $(READY) ## build the notebooks whose .py has changed
	$(RUN) chapters/build.py
	$(RUN) chapters/book/overview.py

# Pages and slides show the stored notebooks: nothing is executed. They work from the
# disk, without a server and without a network. From scratch each time: it takes seconds,
# and no page is left of a chapter that is gone.
SPHINX = $(RUN) -m sphinx -nW --keep-going -q -c chapters/book

book: $(READY_FOR_BOOK) ## publish the stored notebooks as a site, build/book
	rm -rf build/book
	$(SPHINX) -b html . build/book
	@echo "Open build/book/index.html"

slides: $(READY_FOR_BOOK) ## cut the stored notebooks into slides, build/slides
	rm -rf build/slides
	$(SPHINX) -t slides -b revealjs . build/slides
	@echo "Open build/slides/index.html"

data: $(READY) ## download CIFAR-10 and MNIST into data/
	$(RUN) -m ae_lib.fetch

lint: $(READY) ## check style, layout and types of the Python files
	$(RUN) -m ruff check .
	$(RUN) -m ruff check --preview --select PLW1514 .  # files without an encoding
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

clean: ## remove the environment and the caches, keep the data
	rm -rf $(VENV) $(COLAB) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# Everything above needs the environment. It is made once, and brought up to date
# when the dependencies change. A half-made one (Debian without python3-venv leaves
# it without pip) is made again.
$(READY): pyproject.toml constraints.txt
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('Python 3.11 or newer is needed, but $(PYTHON) is %d.%d. Name another one, for example: make PYTHON=python3.13' % sys.version_info[:2])"
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo "Installing the course into $(VENV): two minutes or more, by connection."
	$(RUN) -m pip install --disable-pip-version-check -c constraints.txt -e '.[course,export,test]'
	@touch $(READY)

$(READY_FOR_COLAB): pyproject.toml constraints-colab.txt
	@$(COLAB)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(COLAB)
	@echo "Installing the oldest versions into $(COLAB): some minutes, by connection."
	$(COLAB)/bin/python -m pip install --disable-pip-version-check -q -c constraints-colab.txt -e '.[course,test]' nbclassic
	@touch $(READY_FOR_COLAB)

$(READY_FOR_BOOK): $(READY)
	$(RUN) -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[book]'
	@touch $(READY_FOR_BOOK)
