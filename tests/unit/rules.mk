# Every tests/unit/FOLDER/test_*.c is one Criterion program. The folders are those of services/ and clients/. Each
# test is linked with the static libraries of all programs (TESTED_LIBS), so it contains only the modules that it uses.
UNIT_TESTS   := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(sort $(shell find tests/unit -name 'test_*.c')))
UNIT_HELPERS := $(call objects,$(sort $(shell find tests/unit -name '*.c' ! -name 'test_*')))

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(UNIT_HELPERS) $(TESTED_LIBS)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(UNIT_HELPERS) $(TESTED_LIBS) -lcriterion $(LIBS_HTTP) $(LIBS_JSON) $(LIBS_STORE)

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS)
