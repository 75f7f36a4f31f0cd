# fantail. `make help` lists the targets. Everything is built in $(BUILD), the programs in $(BUILD)/bin.

VERSION   := 0.1.0
PREFIX    ?= /usr/local
# Debian's zsh reads the completions of packages from a folder of their own.
ZSH_FOLDER ?= $(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
SANITIZE  ?=
comma     := ,
BUILD     ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
BIN       := $(BUILD)/bin
Q         := $(if $(V),,@)
say        = $(if $(V),,@echo "  $(1)	$(2)")

WARN      := -Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes \
             -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wno-unused-parameter -Wno-missing-field-initializers
# Release builds have checked libc calls, stack guards, address randomisation and read-only relocations. Sanitized
# builds do not, because checked libc calls would hide errors from the sanitizers. Sanitized builds have frame
# pointers, so that stack traces are readable.
HARDEN    := $(if $(SANITIZE),-fno-omit-frame-pointer,-D_FORTIFY_SOURCE=2 -fstack-protector-strong \
             -fstack-clash-protection $(if $(filter x86_64,$(shell uname -m)),-fcf-protection) -fPIE)
OPT       ?= $(if $(SANITIZE),-O1,-O2)
CFLAGS    ?= -g
ALL_CFLAGS = -std=gnu11 $(OPT) $(WARN) $(HARDEN) $(CFLAGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all) \
             -D_GNU_SOURCE -DFANTAIL_VERSION='"$(VERSION)"' -Iservices -Iclients -MMD -MP
ALL_LDFLAGS = $(if $(SANITIZE),-fsanitize=$(SANITIZE),-pie -Wl,-z,relro,-z,now,-z,noexecstack) -Wl,--as-needed $(LDFLAGS)

# libcurl is not among these: curl_library.c loads it when it is needed.
LIBS_HTTP   := -lmicrohttpd -lgnutls -luv
LIBS_JSON   := -lcjson -lm
LIBS_STORE  := -lsqlite3 -lpq -lzstd -lpthread

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
sources = $(sort $(shell find $(1) -name '*.c'))
COMMON      := $(call objects,$(call sources,services/common services/protocol))
COORDINATOR := $(call objects,$(call sources,services/coordinator))
WORKER      := $(call objects,$(call sources,services/worker))
CLI         := $(call objects,$(call sources,clients/cli))

# A static library, so that each program links only the common parts that it calls.
LIBCOMMON   := $(BUILD)/libcommon.a
# The common parts without the HTTP server and client of the services. http_wire.o defines sendmsg() and epoll_ctl(). So
# libcommon.a would link the server and its libraries into each program that calls one of these functions.
LIBLIGHT    := $(BUILD)/liblight.a
# Static libraries for the tests: all objects of a program except its main.o.
LIBCOORDINATOR := $(BUILD)/libcoordinator.a
LIBWORKER      := $(BUILD)/libworker.a
LIBCLI         := $(BUILD)/libcli.a
LIBHOSTS       := $(BUILD)/libhosts.a
# A test links only the objects that it uses. No two objects define the same name (make house), so the order of the
# libraries does not matter.
TESTED_LIBS    := $(LIBCOORDINATOR) $(LIBWORKER) $(LIBCLI) $(LIBHOSTS) $(LIBCOMMON)

.DEFAULT_GOAL := all
include $(sort $(wildcard services/hosts/rules.mk examples/rules.mk tests/*/rules.mk bench/rules.mk scripts/rules.mk))

PROGRAMS := $(BIN)/fantail-coordinator $(BIN)/fantail-worker $(BIN)/fantail
# Manual pages and completions of shells. The program writes them from its tables of options.
MANUAL := $(BUILD)/share/written
.PHONY: all
all: $(PROGRAMS) $(HOSTS) $(EXAMPLES) $(MANUAL)

# This file changes only if the compiler or its flags change. In that case everything is rebuilt.
FLAGS_STAMP := $(BUILD)/flags
$(FLAGS_STAMP): always
	@mkdir -p $(@D)
	@echo '$(CC) $(subst ','\'',$(ALL_CFLAGS))' | cmp -s - $@ || echo '$(CC) $(subst ','\'',$(ALL_CFLAGS))' > $@
.PHONY: always

$(BUILD)/obj/tests/%.o: private ALL_CFLAGS += -Itests -Wno-write-strings
.PRECIOUS: $(BUILD)/obj/%.o

$(BUILD)/obj/%.o: %.c $(FLAGS_STAMP)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The compiler's list of dependencies does not contain files that .incbin reads.
$(BUILD)/obj/services/coordinator/api/api_openapi.o: services/coordinator/api/openapi.json

$(LIBCOMMON): $(COMMON)
$(LIBLIGHT): $(filter-out $(addprefix $(BUILD)/obj/services/common/,http_server/% http_client/%),$(COMMON))
$(LIBCOORDINATOR): $(filter-out %/main.o,$(COORDINATOR))
$(LIBWORKER): $(filter-out %/main.o,$(WORKER))
$(LIBCLI): $(filter-out %/main.o,$(CLI))
$(LIBHOSTS): $(call objects,$(shell grep -L '^int main' services/hosts/*.c services/hosts/runs/*.c))
$(TESTED_LIBS) $(LIBLIGHT):
	$(call say,AR,$@)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BIN)/fantail-coordinator: $(COORDINATOR) $(LIBCOMMON)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_HTTP) $(LIBS_JSON) $(LIBS_STORE)

$(BIN)/fantail-worker: $(WORKER) $(LIBCOMMON)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_HTTP) $(LIBS_JSON)

# Each private fleet runs a process of this program. To keep the process small, the program is linked only with libc.
# For an https:// URL, the program loads libcurl itself.
$(BIN)/fantail: $(CLI) $(LIBLIGHT)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^

$(MANUAL): $(BIN)/fantail
	$(call say,MAN,$(@D))
	$(Q)rm -rf $(@D)
	$(Q)$(BIN)/fantail write-manual $(@D)
	@touch $@

# ---- Targets to run by hand ---------------------------------------------------------------------------------------
.PHONY: help demo test check fuzz sim bench install uninstall wheel clean

help:
	@echo 'make             builds the programs into build/bin and the example tasks into build/tasks'
	@echo 'make demo        installs missing packages, then runs a fleet that loses a worker and still answers'
	@echo 'make test        installs missing packages, then runs every test under sanitizers'
	@echo 'make check       checks layers, format and headers, runs the unit tests under sanitizers; installs nothing'
	@echo 'make check TEST=scheduler     runs only the unit tests and Python tests in files test_*scheduler*'
	@echo 'make sim         runs the scheduler with SEEDS=1000 simulated fleets'
	@echo 'make fuzz        runs each fuzzer for FUZZ_S=20 seconds'
	@echo 'make fault       runs the fault tests at full size: they kill and stop processes and cut connections'
	@echo 'make soak        runs jobs for SOAK_S=3600 seconds while workers are killed; looks for leaks'
	@echo 'make container   tests the images and the compose fleet on a container engine'
	@echo 'make slurm       tests the batch script for Slurm on a cluster of four nodes; needs root; installs the packages of Slurm'
	@echo 'make manifests   tests the manifests for Kubernetes and the template for ECS'
	@echo 'make bench       runs the benchmarks of docs/benchmarks.md'
	@echo 'make layers      checks the includes between folders; make house: checks names and the calls between folders'
	@echo 'make unused      lists functions that no program uses; make headers: checks that each header compiles alone'
	@echo 'make tidy        runs clang-tidy; make format: runs clang-format -i; make format-check: only reports changes'
	@echo 'make compile_commands.json    makes the file for clangd and other editors'
	@echo 'make install     installs into $$DESTDIR$$PREFIX (/usr/local); make uninstall: removes what it has installed'
	@echo 'make wheel       builds the Python package into $(BUILD)/dist: an sdist, and a wheel with the programs'
	@echo 'make clean       removes the builds'
	@echo 'settings: SANITIZE=address,undefined  CC=clang  V=1 (show commands)  BUILD=dir'

demo:
	@MAKE='$(MAKE)' scripts/demo $(BUILD)

test:
	@scripts/test

check:
	@tests/run $(if $(TEST),--match '$(TEST)',--only layers$(comma)format-check$(comma)headers$(comma)unit)

install: all
	$(call say,INSTALL,$(DESTDIR)$(abspath $(PREFIX)))
	$(Q)scripts/install $(BUILD) $(DESTDIR)$(abspath $(PREFIX)) $(ZSH_FOLDER)

uninstall:
	$(Q)scripts/install --remove $(DESTDIR)$(abspath $(PREFIX))

wheel: all
	@scripts/wheel $(BIN) $(BUILD)/dist

clean:
	rm -rf build build-*

-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
