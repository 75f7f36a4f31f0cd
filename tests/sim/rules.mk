# Runs the scheduler with simulated fleets, with a virtual clock and seeded random numbers: `make sim SEEDS=10000`. To run
# a seed that failed again: `build/tests/sim/sim --seed N --verbose`.
SEEDS ?= 1000
SIM   := $(BUILD)/tests/sim/sim

$(SIM): $(call objects,$(wildcard tests/sim/*.c)) $(LIBCOORDINATOR) $(LIBCOMMON)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS_HTTP) $(LIBS_JSON)

.PHONY: sim
sim: $(SIM)
	@$(SIM) --seeds $(SEEDS)

# sim-shows: the large scenarios and the figures they must reach (minutes). sim-mutations: each broken rule is noticed.
.PHONY: sim-shows sim-mutations
sim-shows: $(SIM)
	@$(SIM) --shows

sim-mutations:
	@CC=$(CC) tests/sim/mutations --build $(BUILD)/tests/sim/mutants
