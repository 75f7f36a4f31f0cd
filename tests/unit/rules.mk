# Every tests/unit/test_*.c is one Criterion program. It is linked with both services' objects except their main.o, as
# static libraries, so that each test takes only the modules it calls. A test includes "coordinator/x.h" or
# "worker/x.h" where both services have a file of that name.
UNIT_TESTS     := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_HELPERS   := $(call objects,$(filter-out $(wildcard tests/unit/test_*.c),$(wildcard tests/unit/*.c)))

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(UNIT_HELPERS) $(LIBCOORDINATOR) $(LIBWORKER) $(LIBCLI) $(LIBCOMMON)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(UNIT_HELPERS) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
	    -lcriterion $(LIBS_HTTP) $(LIBS_JSON)

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS)
