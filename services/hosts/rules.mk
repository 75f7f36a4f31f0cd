# Host programs: adapters between the stream protocol and a task.
HOSTS := $(BIN)/fantail-host-native $(BIN)/fantail-host-exec $(BIN)/fantail-host-python

HOST_COMMON := $(call objects,services/hosts/line_io.c services/common/base/base.c)
HOST_NATIVE := $(call objects,services/hosts/native.c services/hosts/answers.c) $(HOST_COMMON)
HOST_EXEC   := $(call objects,$(wildcard services/hosts/exec*.c services/hosts/runs/*.c)) $(HOST_COMMON) \
               $(call objects,$(addprefix services/protocol/,protocol.c run_record.c shell_quote.c)) \
               $(call objects,$(wildcard services/protocol/run_gate*.c)) \
               $(call objects,$(addprefix services/common/base/,buf.c spare_memory.c)) \
               $(call objects,$(addprefix services/common/json/,byte_text.c json_scan.c json_whole.c json_tail.c byte_tail.c json_own.c json_walk.c encoding.c) services/common/files/start_error.c)

# Many processes of this program run at the same time. To keep them small, it is linked only with libc and the code of
# the hosts.
$(BIN)/fantail-host-native: $(HOST_NATIVE)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -ldl -lm

# A static program starts quickly. It also starts commands quickly, because its address space is small.
$(BIN)/fantail-host-exec: $(HOST_EXEC)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(if $(SANITIZE),$(ALL_LDFLAGS),-static $(LDFLAGS)) -o $@ $^ -lm

$(BIN)/fantail-host-python: services/hosts/fantail_host_python.py
	$(call say,INSTALL,$@)
	@mkdir -p $(@D)
	$(Q)install -m 755 $< $@
