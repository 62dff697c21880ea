# Copyright (c) 2026 the PingKiller authors
# SPDX-License-Identifier: GPL-3.0-or-later

# Everything here is for working on the project or trying it out. Users of the collection do not need it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup demo fleet-up fleet-down test test-unit test-kernel test-molecule matrix bench bench-pressure bench-lists bench-adhoc bench-command bench-fleet bench-report bench-trace lint sanity build options dashboard manual picture changelog pins clean test-vm test-all

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## Install what the demo and the tests need: packages, and Python tools in .venv
	@tools/setup

demo: setup ## Deploy to three test hosts, show the result, and clean up
	@tools/demo

fleet-up: setup ## Start three test hosts, on which the commands of the README work
	@tools/fleet up
	@echo "Now, for example:  . .venv/bin/activate && ansible-playbook deploy-pingkiller.yml"

fleet-down: ## Remove the test hosts
	@tools/fleet down

export ONE
test: ## Run all tests except those on virtual machines; with ONE=path[::test], only this file or test
	@tools/setup tests
	@tools/test $(if $(ONE),--one "$$ONE")

test-all: ## Run all tests, also those on virtual machines
	@tools/setup tests
	@tools/setup vm
	@tools/test all

test-unit: setup ## Run the tests that load no program into the kernel
	@tools/test unit

test-kernel: setup ## Run the tests that load programs into the kernel
	@tools/test kernel

test-molecule: setup ## Run the tests that deploy to test hosts
	@tools/test molecule

export MACHINES ?= debian11,debian12,debian13
test-vm: ## Run the tests on virtual machines with other kernels; with MACHINES=debian11,debian12, only on these
	@tools/setup vm
	@tools/test vm

TOGETHER ?= 3
matrix: setup ## Compile and load all combinations of any TOGETHER=3 features (9: of all features), and print the sizes
	@python tests/kernel/matrix.py --together $(TOGETHER)

bench: ## Measure the cost of a packet for each option, and beside xdp-filter, nftables and ipset
	@tools/setup bench
	@cd bench && python -m datapath

bench-pressure: ## Measure a transfer and pings during a flood, for each filter
	@tools/setup bench
	@cd bench && python -m pressure

bench-lists: ## Measure changes of long lists beside ipset, nftables and xdp-filter
	@tools/setup bench
	@cd bench && python -m lists

bench-adhoc: setup ## Measure single commands on a host with a million entries, beside Ansible's ping
	@cd bench && python -m adhoc

bench-command: setup ## Measure the command pingkiller on a host: each subcommand, over starting Python, and many at once
	@cd bench && python -m command

bench-fleet: setup ## Measure deployments and single commands on 8, 16 and 32 hosts, beside Ansible's ping
	@cd bench && python -m fleet

bench-report: setup ## Measure the report of a fleet: its size, and the CPU time for it
	@cd bench && python page.py

bench-trace: ## Measure the cost of tracing, beside strace, perf trace and bpftrace
	@tools/setup bench
	@cd bench && python trace.py

lint: setup ## Check style, types, documentation and the artifact
	@tools/test lint

sanity: setup ## Run ansible-test sanity
	@tools/test sanity

build: setup ## Build the artifact for Galaxy in build/ from the tracked files; the same files give the same bytes
	@tools/build

options: setup ## Write the parts of the role and the READMEs that list the options of a filter
	@tools/options

dashboard: setup ## Write the dashboard for Grafana; needs Python 3.11 or newer
	@tools/dashboard

manual: setup ## Write the manual page and the completion of the command pingkiller from its parser
	@tools/manual

picture: ## Make the picture of a report in docs/
	@tools/setup tests
	@tools/picture

# In a copy, since a release removes the fragments.
changelog: setup ## Show the changelog of the next release, and change nothing
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && cp -r galaxy.yml changelogs plugins roles "$$work" && \
		cd "$$work" && git init --quiet && git add --all && antsibull-changelog release >/dev/null && cat CHANGELOG.md

# For every Python that tools/setup accepts, not only for the one on this machine.
pins: ## Update tools/requirements.txt to the newest Python tools that tools/requirements.in allows, with hashes
	@python3 -m venv --clear .cache/pins && .cache/pins/bin/pip install --quiet uv
	@.cache/pins/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
		--custom-compile-command "make pins" --no-emit-index-url --output-file tools/requirements.txt tools/requirements.in

clean: fleet-down ## Remove everything that make and the tests have created
	@tools/fleet --name demo down
	@tools/fleet --name molecule down
	@tools/vm --name molecule down
	@rm -rf .ansible .cache .hypothesis .pytest_cache .ruff_cache .venv build tests/output
