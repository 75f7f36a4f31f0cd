# Runs a mix of jobs and failures for a long time, in slices. After each slice, no job, memory, descriptor or process
# may be left over. SOAK_S and SOAK_SLICE_S are seconds; SOAK_ARGS: other options of tests/soak/run.
SOAK_S       ?= 3600
SOAK_SLICE_S ?= 120
.PHONY: soak
soak: all
	$(Q)FANTAIL_BUILD=$(BUILD) FANTAIL_BIN=$(BIN) PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/soak:tests/integration \
	    tests/soak/run --seconds $(SOAK_S) --slice $(SOAK_SLICE_S) $(SOAK_ARGS)
