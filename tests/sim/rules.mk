# The scheduler against simulated fleets: a virtual clock, seeded randomness. `make sim SEEDS=10000`; a seed that breaks
# is replayed by `build/tests/sim/sim --seed N --verbose`.
SEEDS ?= 1000
SIM   := $(BUILD)/tests/sim/sim

$(SIM): $(call objects,$(wildcard tests/sim/*.c)) $(LIBCOORDINATOR) $(LIBCOMMON)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS_HTTP) $(LIBS_JSON)

.PHONY: sim
sim: $(SIM)
	@$(SIM) --seeds $(SEEDS)

# The large scenarios with the figures they must reach (minutes), and proof that each broken rule is noticed.
.PHONY: sim-shows sim-mutations
sim-shows: $(SIM)
	@$(SIM) --shows

sim-mutations:
	@CC=$(CC) tests/sim/mutations --build $(BUILD)/tests/sim/mutants
