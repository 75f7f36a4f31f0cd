# Real processes killed, stopped, cut off and lied to, at full size and with the times measured, on a release build.
# The short form is part of `make test`.
.PHONY: fault
fault: all
	$(Q)for test in tests/fault/test_*.py; do \
	    FANTAIL_SLOW_TESTS=1 FANTAIL_BUILD=$(BUILD) FANTAIL_BIN=$(BIN) PYTHONDONTWRITEBYTECODE=1 \
	    PYTHONPATH=tests/fault:tests/integration python3 -W ignore $$test -v || failed=1; \
	done; test -z "$$failed"
