# Runs the fault tests at full size on a release build, with their checks of durations. The tests kill, stop and
# disconnect real processes, or send them false answers. `make test` runs shorter versions. FAULT=test_durable_storm
# runs one file.
.PHONY: fault
FAULT ?= test_*
fault: all
	$(Q)for test in tests/fault/$(FAULT).py; do \
	    FANTAIL_SLOW_TESTS=1 FANTAIL_BUILD=$(BUILD) FANTAIL_BIN=$(BIN) PYTHONDONTWRITEBYTECODE=1 \
	    PYTHONPATH=tests/fault:tests/integration python3 -W ignore $$test -v || failed=1; \
	done; test -z "$$failed"
