# The benchmarks, and the other programs that they compare fantail with. `make bench` runs all of them; see
# docs/benchmarks.md.
BENCH_NAMES    := http_latency bare_mhd_echo bare_spawn_loop bare_pool bare_socketpair_echo
# Gearman is measured only if its library is installed.
BENCH_NAMES    += $(if $(wildcard /usr/include/libgearman/gearman.h),gearman_do)
BENCH_PROGRAMS := $(patsubst %,$(BUILD)/bench/%,$(BENCH_NAMES))

$(BUILD)/obj/bench/%.o: private ALL_CFLAGS += -Iservices/hosts

$(BUILD)/bench/bare_mhd_echo: private BENCH_LIBS := -lmicrohttpd
$(BUILD)/bench/gearman_do:    private BENCH_LIBS := -lgearman
$(BUILD)/bench/bare_pool:     private BENCH_LIBS := -lm

$(BENCH_PROGRAMS): $(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(call objects,services/common/base/base.c services/common/base/buf.c services/common/base/spare_memory.c)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(BENCH_LIBS)

.PHONY: bench bench-programs
bench-programs: $(BENCH_PROGRAMS)

# BENCH_ARGS: options of bench/run, such as --rounds 9 or --only echo.
bench: all bench-programs
	$(Q)FANTAIL_BUILD=$(BUILD) bench/run $(BENCH_ARGS)
