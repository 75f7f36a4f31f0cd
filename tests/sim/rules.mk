# Runs the scheduler with simulated fleets, with a virtual clock and seeded random numbers: `make sim SEEDS=10000`. To
# repeat a failed seed: `build/tests/sim/sim --seed N --verbose`.
SEEDS ?= 1000
SIM   := $(BUILD)/tests/sim/sim

$(SIM): $(call objects,$(wildcard tests/sim/*.c)) $(LIBCOORDINATOR) $(LIBCOMMON)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS_HTTP) $(LIBS_JSON)

.PHONY: sim
sim: $(SIM)
	@$(SIM) --seeds $(SEEDS)

# sim-shows runs the large scenarios, and checks each measured figure against its required figure. This takes minutes.
# sim-mutations breaks one rule at a time, and checks that the simulation notices it.
.PHONY: sim-shows sim-mutations
sim-shows: $(SIM)
	@$(SIM) --shows

sim-mutations:
	@CC=$(CC) tests/sim/mutations --build $(BUILD)/tests/sim/mutants
