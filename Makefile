# Copyright (c) 2026 the PingKiller authors
# SPDX-License-Identifier: GPL-3.0-or-later

# Everything here is for working on the project or trying it out. Users of the collection do not need it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup demo fleet-up fleet-down test test-unit test-kernel test-molecule matrix bench bench-pressure bench-lists bench-adhoc bench-fleet bench-trace lint sanity build options changelog pins clean test-vm test-all

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## Install what the demo and the tests take (packages, and Python tools in .venv)
	@tools/setup

demo: setup ## Show everything on three real hosts, and clean up
	@tools/demo

fleet-up: setup ## Boot three hosts to play with: the README's commands work on them
	@tools/fleet up
	@echo "Now, for example:  . .venv/bin/activate && ansible-playbook deploy-pingkiller.yml"

fleet-down: ## Remove them
	@tools/fleet down

export ONE
test: setup ## Run all tests but those on virtual machines, or with ONE=path[::test] only that
	@tools/test $(if $(ONE),--one "$$ONE")

test-all: setup ## Run all tests
	@tools/setup vm
	@tools/test all

test-unit: setup ## Run the tests that need neither root nor kernel
	@tools/test unit

test-kernel: setup ## Run the tests that load programs into the kernel
	@tools/test kernel

test-molecule: setup ## Run the tests on real hosts
	@tools/test molecule

export MACHINES ?= debian11,debian12,debian13
test-vm: ## Run the tests on virtual machines with other kernels (40 minutes), or on some of MACHINES
	@tools/setup vm
	@tools/test vm

TOGETHER ?= 3
matrix: setup ## Compile and load every combination of features (any TOGETHER=3 of them; 9: all), and tell the sizes
	@python tests/kernel/matrix.py --together $(TOGETHER)

bench: ## Measure what a packet costs, option by option and beside xdp-filter, nftables and ipset
	@tools/setup bench
	@cd bench && python -m datapath

bench-pressure: ## Measure what a flood leaves of a transfer and of pings, filter by filter
	@tools/setup bench
	@cd bench && python -m pressure

bench-lists: ## Measure changes of long lists beside ipset, nftables and xdp-filter
	@tools/setup bench
	@cd bench && python -m lists

bench-adhoc: setup ## Measure single commands on a host with a million entries beside a ping of Ansible
	@cd bench && python -m adhoc

bench-fleet: setup ## Measure deploys and single commands over 8, 16 and 32 hosts beside a ping of Ansible
	@cd bench && python -m fleet

bench-trace: ## Measure what a look with the tracers costs beside strace, perf trace and bpftrace
	@tools/setup bench
	@cd bench && python trace.py

lint: setup ## Check style, documentation and the artifact
	@tools/test lint

sanity: setup ## Run ansible-test sanity
	@tools/test sanity

build: setup ## Build the artifact for Galaxy in build/, of what git tracks: the same bytes each time
	@tools/build

options: setup ## Write what role and READMEs say of a filter's options, from the library
	@tools/options

# In a copy, since a release removes the fragments.
changelog: setup ## Show what the changelog of the next release would say, and change nothing
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && cp -r galaxy.yml changelogs plugins roles "$$work" && \
		cd "$$work" && git init --quiet && git add --all && antsibull-changelog release >/dev/null && cat CHANGELOG.md

# For every Python that tools/setup accepts, not only for the one on this machine.
pins: ## Renew tools/requirements.txt: the newest Python tools that tools/requirements.in allows, with their hashes
	@python3 -m venv --clear .cache/pins && .cache/pins/bin/pip install --quiet uv
	@.cache/pins/bin/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
		--custom-compile-command "make pins" --no-emit-index-url --output-file tools/requirements.txt tools/requirements.in

clean: fleet-down ## Remove everything that was made here
	@tools/fleet --name demo down
	@tools/fleet --name molecule down
	@tools/vm --name molecule down
	@rm -rf .ansible .cache .hypothesis .pytest_cache .ruff_cache .venv build tests/output
