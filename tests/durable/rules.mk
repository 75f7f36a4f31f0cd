# Each broken rule of durable jobs is noticed by a unit test (minutes).
.PHONY: durable-mutations
durable-mutations:
	@tests/durable/mutations --build $(abspath $(BUILD))/tests/durable-mutants
