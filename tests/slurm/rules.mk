# Runs the batch script of deploy/slurm on a Slurm cluster of four nodes, in network namespaces. These tests are not part of
# `make test`, because they need root and about five minutes. SLURM_TEST=Allocation.test_name runs one test.
.PHONY: slurm
SLURM_TEST ?=
slurm: all
	@scripts/install-packages slurm || : # the tests say what is missing, and are skipped
	$(Q)FANTAIL_BUILD=$(BUILD) FANTAIL_BIN=$(BIN) PYTHONDONTWRITEBYTECODE=1 \
	    PYTHONPATH=tests/slurm:tests/fault:tests/integration python3 -W ignore tests/slurm/test_allocation.py -v $(SLURM_TEST)
