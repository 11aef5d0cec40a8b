# Thin: tox environments do the work. What is here only finds a Python, and
# puts tox and what Debian has to bring in place.

PYTHON ?= python3
VENV ?= .venv
TOX := $(VENV)/bin/tox
STORES ?= swift s3 ceph nfs
RELEASES ?= 2025.1 2026.2
RELEASES_AT_ONCE ?= 2
COMMA := ,
SPACE := $() $()

BENCHMARKS := benchmark benchmark-backups benchmark-ceph benchmark-cloud \
  benchmark-start benchmark-histories

.PHONY: help certify certify-stores test long-tests cross-drivers key-sequences \
  histories many-records growth releases under-load lint docs wheel $(BENCHMARKS) clean

help:
	@echo 'make certify   start a cloud, lose backups, recover them, compare every byte'
	@echo 'make certify-stores  the same on Swift, S3, Ceph and NFS, one after the other'
	@echo '               (STORES="swift" chooses); takes an hour'
	@echo 'make test      test the kit itself, against real services'
	@echo 'make long-tests  those of them that take minutes and rarely fail'
	@echo 'make cross-drivers  back up at random with one driver, recover with the other'
	@echo '               (CROSS_ARGS="--seed N --case K" runs one case again)'
	@echo 'make key-sequences  ship, delete and restore encrypted backups at random,'
	@echo '               and count their keys (KEYS_ARGS="--seed N --case K")'
	@echo 'make histories  run 10,000 random histories, and as many on a Cinder without'
	@echo '               its known defects (HISTORIES_ARGS="--seed N")'
	@echo 'make many-records  lose and recover a thousand backups in twenty projects,'
	@echo '               killed twenty times; and from the storage alone; restore'
	@echo '               and prove fifty volumes; plan with a hundred thousand'
	@echo 'make growth    count what ten times as many backups, or links, take more'
	@echo 'make releases  test the reference drivers on the oldest Cinder, and on eventlet'
	@echo '               (RELEASES="2025.2 2026.1" chooses others, RELEASES_ARGS tests,'
	@echo '               RELEASES_AT_ONCE=1 one after the other)'
	@echo 'make under-load  all of these verdicts beside six busy loops; takes hours'
	@echo 'make lint      check style and types'
	@echo 'make docs      build the documentation and the release notes'
	@echo 'make wheel     build the package into dist/, to install on another machine'
	@echo 'make benchmark time verification against plain reading and restores'
	@echo '               (-backups: backups and restores; -ceph: a digest in Ceph;'
	@echo '               -cloud: a thousand records; -start: the start of a'
	@echo '               cloud; -histories: random ones)'
	@echo 'make clean     remove what these have made'

certify: $(TOX)
	$(TOX) -q -e certify -- $(CERTIFY_ARGS)

certify-stores: $(TOX)
	tools/debian-packages.sh test
	$(TOX) -q -e certify --notest
	for store in $(STORES); do .tox/certify/bin/cinder-backup-certify local \
	  --backup $$store --report-dir certify-report-$$store || exit; done

test: $(TOX)
	tools/debian-packages.sh test
	$(TOX) -q -e py3 -- $(TEST_ARGS)

long-tests: $(TOX)
	tools/debian-packages.sh test
	$(TOX) -q -e long -- $(TEST_ARGS)

cross-drivers: $(TOX)
	$(TOX) -q -e cross-drivers -- $(CROSS_ARGS)

key-sequences: $(TOX)
	$(TOX) -q -e py3 --notest
	.tox/py3/bin/python -W ignore -m tests.key_sequences $(KEYS_ARGS)

histories: $(TOX)
	$(TOX) -q -e py3 --notest
	.tox/py3/bin/python -W ignore -m reference_drivers.histories \
	  --histories 10000 $(HISTORIES_ARGS)
	.tox/py3/bin/python -W ignore -m tests.patched_histories \
	  --histories 10000 $(HISTORIES_ARGS)

many-records: $(TOX)
	$(TOX) -q -e py3 --notest
	.tox/py3/bin/python -W ignore -m unittest -v \
	  tests.many_records.ManyRecordsTest.test_killed_at_many_moments \
	  tests.many_records.ManyRecordsTest.test_all_lost \
	  tests.many_records.ManyRecordsTest.test_fifty_proved \
	  tests.many_records.ManyPlannedTest

growth: $(TOX)
	$(TOX) -q -e py3 --notest
	.tox/py3/bin/python -W ignore -m unittest -v tests.growth

# Their Swift is the local cloud's, which is installed with the tests. What an
# environment prints is shown when it has failed.
releases: ENVIRONMENTS = $(subst $(SPACE),$(COMMA),$(RELEASES:%=cinder-%))
releases: $(TOX)
	tools/debian-packages.sh test
	$(TOX) -q -e py3 --notest
	TOX_PARALLEL_NO_SPINNER=1 $(TOX) -q run-parallel --parallel $(RELEASES_AT_ONCE) \
	  -e $(ENVIRONMENTS) $(if $(RELEASES_ARGS),-- $(RELEASES_ARGS))

# Each verdict must be the same on a machine that is busy with other work.
under-load: $(TOX)
	$(TOX) -q -e certify --notest
	$(PYTHON) tools/under_load.py --runs 5 -- \
	  .tox/certify/bin/cinder-backup-certify local
	$(PYTHON) tools/under_load.py --runs 2 -- \
	  .tox/certify/bin/cinder-backup-certify local --backup swift
	$(PYTHON) tools/under_load.py -- $(MAKE) test

lint: $(TOX)
	$(TOX) -q -e pep8,zuul

docs: $(TOX)
	$(TOX) -q -e docs

wheel: $(TOX)
	rm -rf dist
	$(VENV)/bin/pip wheel --quiet --no-deps --wheel-dir dist .
	@echo dist/*.whl

$(BENCHMARKS): $(TOX)
	$(TOX) -q -e $@ -- $(BENCHMARK_ARGS)

$(TOX):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'error: Python 3.11 or newer is needed; name one with make PYTHON=python3.12' >&2; exit 3; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo 'error: the venv module is needed: apt-get install python3-venv' >&2; rm -rf $(VENV); exit 3; }
	$(VENV)/bin/pip install --quiet 'tox>=4.11'

clean:
	rm -rf $(VENV) .tox .stestr certify-report* build dist *.egg-info doc/build releasenotes/build
