# Breaks each rule of durable jobs; a unit test must notice it. This takes several minutes.
.PHONY: durable-mutations
durable-mutations:
	@tests/durable/mutations --build $(abspath $(BUILD))/tests/durable-mutants
