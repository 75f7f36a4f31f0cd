# Breaks the rules of durable jobs one at a time; a unit test must notice each broken rule. This takes several minutes.
.PHONY: durable-mutations
durable-mutations:
	@tests/durable/mutations --build $(abspath $(BUILD))/tests/durable-mutants
