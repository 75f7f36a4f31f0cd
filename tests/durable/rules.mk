# Runs durable jobs in random worlds, with a virtual clock and seeded random numbers: `make durable-worlds WORLDS=10000`. To
# repeat world N: `WORLD_SEED=N WORLD_SEEDS=1 build-test/tests/unit/coordinator/durable/test_durable_world`.
WORLDS        ?= 1000
DURABLE_WORLD := build-test/tests/unit/coordinator/durable/test_durable_world
.PHONY: durable-worlds
durable-worlds:
	@$(MAKE) --no-print-directory SANITIZE=address,undefined BUILD=build-test $(DURABLE_WORLD)
	@WORLD_SEEDS=$(WORLDS) $(DURABLE_WORLD) 2> $(DURABLE_WORLD).log || { tail -n 20 $(DURABLE_WORLD).log; exit 1; }
	@echo 'durable worlds: $(WORLDS) passed'

# Breaks the rules of durable jobs one at a time; a unit test must notice each broken rule. This takes several minutes.
.PHONY: durable-mutations
durable-mutations:
	@tests/durable/mutations --build $(abspath $(BUILD))/tests/durable-mutants
