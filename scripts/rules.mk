# Checks of the source tree. Each prints what is wrong and fails.
.PHONY: layers house unused format format-check tidy headers

# Checks the includes; scripts/layers.conf says which folder may include which.
layers:
	@scripts/layers

# Prints the folders, their sizes and the calls between them. Checks for circles, clashing names and full folders.
house: $(COORDINATOR) $(WORKER) $(CLI) $(COMMON) $(HOST_NATIVE) $(HOST_EXEC)
	@scripts/house $(BUILD)

# Finds functions that no program calls. Each program is linked again from all objects that it may use. They are compiled
# without inlining and with one section per function, and the linker reports the sections that it drops.
UNUSED          := $(BUILD)/unused
UNUSED_PROGRAMS := coordinator worker cli host-native host-exec
# Without CURL_DISABLE_TYPECHECK, curl.h defines functions in each object.
UNUSED_CFLAGS    = -std=gnu11 -O0 -w -DCURL_DISABLE_TYPECHECK -ffunction-sections -fdata-sections $(filter -D_GNU% -DFANTAIL% -I%,$(ALL_CFLAGS)) -MMD -MP
unused_objects   = $(patsubst $(BUILD)/obj/%,$(UNUSED)/obj/%,$(1))

$(UNUSED)/obj/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNUSED_CFLAGS) -c -o $@ $<

HOST_OBJECTS := $(call objects,$(wildcard services/hosts/*.c))
$(UNUSED)/coordinator.dropped: $(call unused_objects,$(COORDINATOR) $(COMMON))
$(UNUSED)/worker.dropped:      $(call unused_objects,$(WORKER) $(COMMON))
$(UNUSED)/cli.dropped:         $(call unused_objects,$(CLI) $(COMMON))
$(UNUSED)/host-native.dropped: $(call unused_objects,$(filter-out %/exec.o,$(HOST_OBJECTS)) $(COMMON))
$(UNUSED)/host-exec.dropped:   $(call unused_objects,$(filter-out %/native.o,$(HOST_OBJECTS)) $(COMMON))
$(UNUSED)/%.dropped:
	$(call say,LINK,$@)
	@echo $^ > $(@:.dropped=.objects)
	$(Q)LC_ALL=C $(CC) -Wl,--gc-sections,--print-gc-sections -o $(@:.dropped=) $^ $(LIBS_HTTP) $(LIBS_JSON) -ldl 2> $@.new || { \
	    grep -v 'removing unused section' $@.new; rm -f $@.new; exit 1; }
	@mv $@.new $@

unused: $(UNUSED_PROGRAMS:%=$(UNUSED)/%.dropped)
	@scripts/unused scripts/unused.allow $(UNUSED_PROGRAMS:%=$(UNUSED)/%)
