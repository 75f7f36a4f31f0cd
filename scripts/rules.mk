# Checks of the source tree. Each check prints what is wrong, and fails if anything is wrong.
HOST_OBJECTS := $(call objects,$(wildcard services/hosts/*.c services/hosts/runs/*.c))
.PHONY: layers house unused headers format format-check tidy

# Checks the includes against the rules in scripts/layers.conf.
layers:
	@scripts/layers

# Prints the folders, their sizes and the calls between them. Checks for call cycles, clashing names and full folders.
house: $(COORDINATOR) $(WORKER) $(CLI) $(COMMON) $(HOST_OBJECTS)
	@scripts/house $(BUILD)

# Finds functions that no program calls. Each program is linked again from all objects that it may use. The objects are
# compiled without inlining and with one section per function. The linker reports the sections that it drops.
UNUSED          := $(BUILD)/unused
UNUSED_PROGRAMS := coordinator worker cli host-native host-exec
# Without CURL_DISABLE_TYPECHECK, curl.h would define functions in each object.
UNUSED_CFLAGS    = -std=gnu11 -O0 -w -DCURL_DISABLE_TYPECHECK -ffunction-sections -fdata-sections $(filter -D_GNU% -DFANTAIL% -I%,$(ALL_CFLAGS)) -MMD -MP
unused_objects   = $(patsubst $(BUILD)/obj/%,$(UNUSED)/obj/%,$(1))

$(UNUSED)/obj/%.o: %.c $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNUSED_CFLAGS) -c -o $@ $<

$(UNUSED)/coordinator.dropped: $(call unused_objects,$(COORDINATOR) $(COMMON))
$(UNUSED)/worker.dropped:      $(call unused_objects,$(WORKER) $(COMMON))
$(UNUSED)/cli.dropped:         $(call unused_objects,$(CLI) $(COMMON))
$(UNUSED)/host-native.dropped: $(call unused_objects,$(filter-out %/exec.o,$(HOST_OBJECTS)) $(COMMON))
$(UNUSED)/host-exec.dropped:   $(call unused_objects,$(filter-out %/native.o,$(HOST_OBJECTS)) $(COMMON))
$(UNUSED)/%.dropped:
	$(call say,LINK,$@)
	@echo $^ > $(@:.dropped=.objects)
	$(Q)LC_ALL=C $(CC) -Wl,--gc-sections,--print-gc-sections -o $(@:.dropped=) $^ $(LIBS_HTTP) $(LIBS_JSON) $(LIBS_STORE) -ldl 2> $@.new || { \
	    grep -v 'removing unused section' $@.new; rm -f $@.new; exit 1; }
	@mv $@.new $@

unused: $(UNUSED_PROGRAMS:%=$(UNUSED)/%.dropped)
	@scripts/unused scripts/unused.allow $(UNUSED_PROGRAMS:%=$(UNUSED)/%)

SOURCES := $(sort $(shell find services clients examples tests bench -name '*.[ch]'))

# Compiles each header alone. The compilation fails if a header needs another header to be included before it.
HEADERS := $(filter services/%.h clients/%.h,$(SOURCES))
headers: $(HEADERS:%.h=$(BUILD)/headers/%.ok)
	@echo "$(words $(HEADERS)) headers compile alone"
$(BUILD)/headers/%.ok: %.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MT $@ -MF $(@:.ok=.d) -fsyntax-only -include $< -x c /dev/null
	@touch $@

format:
	$(Q)clang-format -i $(SOURCES)

format-check:
	@scripts/format-check $(SOURCES)

# Keeps clang-tidy's report on each file. Makes the report again when the file, one of its headers or the configuration
# changes. bench/gearman_do.c is checked only where Gearman is installed.
UNTIDY         := $(if $(wildcard /usr/include/libgearman/gearman.h),,bench/gearman_do.c)
TIDY_REPORTS   := $(patsubst %.c,$(BUILD)/tidy/%.txt,$(filter-out $(UNTIDY),$(filter %.c,$(SOURCES))))
TIDY_CFLAGS     = $(filter -std% -D_GNU% -DFANTAIL% -I%,$(ALL_CFLAGS)) -Itests -Iservices/hosts
$(BUILD)/tidy/%.txt: %.c .clang-tidy $(wildcard tests/*/.clang-tidy)
	@mkdir -p $(@D)
	@$(CC) $(TIDY_CFLAGS) -MM -MP -MT $@ -MF $(@:.txt=.d) $<
	$(Q)clang-tidy --quiet $< -- $(TIDY_CFLAGS) > $@.new 2> $@.log || test -s $@.new || mv $@.log $@.new
	@mv $@.new $@

tidy:
	@if ! command -v clang-tidy > /dev/null; then echo 'skipped: clang-tidy is missing (package clang-tidy)'; exit 0; fi; \
	$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j2) $(BUILD)/tidy/report
.PHONY: $(BUILD)/tidy/report
$(BUILD)/tidy/report: $(TIDY_REPORTS)
	@cat $^; test -z "$$(cat $^)"

# For clangd: the commands with which make compiles each file.
compile_commands.json: $(SOURCES) Makefile $(wildcard */rules.mk */*/rules.mk)
	$(call say,GEN,$@)
	$(Q)$(MAKE) --no-print-directory -n -B V=1 all unit-tests fuzzers bench-programs $(SIM) | scripts/compile-commands > $@
