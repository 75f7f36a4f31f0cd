# Every tests/unit/test_*.c is one Criterion program. It is linked with all objects but main.o of those programs whose
# headers it includes, as static libraries, so that it takes only the modules it calls. Where both services have an x.h
# a test says "coordinator/x.h" or "worker/x.h".
UNIT_TESTS   := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_HELPERS := $(call objects,$(filter-out $(wildcard tests/unit/test_*.c),$(wildcard tests/unit/*.c)))

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(UNIT_HELPERS) $(TESTED_LIBS)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(UNIT_HELPERS) $(call link_tested,$<) -lcriterion $(LIBS_HTTP) $(LIBS_JSON)

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS)
