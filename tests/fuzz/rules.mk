# Every tests/fuzz/fuzz_*.c is one libFuzzer program, built by clang with all objects instrumented. The first inputs are
# in tests/fuzz/corpus/NAME/, which is kept small; inputs that a run finds stay in build-fuzz.
FUZZ_S     ?= 20
FUZZERS    := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(TESTED_LIBS)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(subst fuzzer-no-link,fuzzer,$(ALL_LDFLAGS)) -o $@ $< $(TESTED_LIBS) $(LIBS_HTTP) $(LIBS_JSON) $(LIBS_STORE)

.PHONY: fuzzers
fuzzers: $(FUZZERS)

fuzz:
	@tests/run --only fuzz --fuzz-seconds $(FUZZ_S)
