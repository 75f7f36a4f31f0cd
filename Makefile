# fantail. `make` builds everything into build/bin; `make demo` and `make test` also install what they need.
#   V=1                          show the commands
#   SANITIZE=address,undefined   build under sanitizers (into build-<names>/)
#   CC=clang                     another compiler

VERSION   := 0.1.0
PREFIX    ?= /usr/local
SANITIZE  ?=
comma     := ,
BUILD     ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
BIN       := $(BUILD)/bin
Q         := $(if $(V),,@)
say        = $(if $(V),,@echo "  $(1)	$(2)")

WARN      := -Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes \
             -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wno-unused-parameter
HARDEN    := $(if $(SANITIZE),-fno-omit-frame-pointer,-D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE)
OPT       ?= $(if $(SANITIZE),-O1,-O2)
CFLAGS    ?= -g
ALL_CFLAGS = -std=gnu11 $(OPT) $(WARN) $(HARDEN) $(CFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all) \
             -D_GNU_SOURCE -DFANTAIL_VERSION='"$(VERSION)"' -Iservices/common -Iservices/protocol -MMD -MP
ALL_LDFLAGS = $(if $(SANITIZE),-fsanitize=$(SANITIZE),-pie -Wl,-z,relro,-z,now) -Wl,--as-needed $(LDFLAGS)

LIBS_HTTP   := -lmicrohttpd -lcurl -luv
LIBS_JSON   := -lcjson -lm

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
COMMON      := $(call objects,$(wildcard services/common/*.c) $(wildcard services/protocol/*.c))
COORDINATOR := $(call objects,$(wildcard services/coordinator/*.c))
WORKER      := $(call objects,$(wildcard services/worker/*.c))
CLI         := $(call objects,$(wildcard clients/cli/*.c))

# A static library lets each program link only the common parts it calls.
LIBCOMMON   := $(BUILD)/libcommon.a

.DEFAULT_GOAL := all
include $(sort $(wildcard services/hosts/rules.mk examples/rules.mk tests/*/rules.mk bench/rules.mk))

PROGRAMS := $(BIN)/fantail-coordinator $(BIN)/fantail-worker $(BIN)/fantail
.PHONY: all
all: $(PROGRAMS) $(HOSTS) $(EXAMPLES)

$(BUILD)/obj/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(LIBCOMMON): $(COMMON)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BIN)/fantail-coordinator: $(COORDINATOR) $(LIBCOMMON)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_HTTP) $(LIBS_JSON)

$(BIN)/fantail-worker: $(WORKER) $(LIBCOMMON)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_HTTP) $(LIBS_JSON)

$(BIN)/fantail: $(CLI) $(LIBCOMMON)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_HTTP) $(LIBS_JSON)

.PHONY: clean install
clean:
	rm -rf build build-*

install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(wildcard $(BIN)/*) $(DESTDIR)$(PREFIX)/bin

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
