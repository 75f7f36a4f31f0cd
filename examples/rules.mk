# Example tasks: build/tasks is a copy of examples/tasks. The copy has NAME.so instead of NAME.c. A worker with
# `--tasks build/tasks` serves all example tasks.
TASKS          := $(BUILD)/tasks
EXAMPLE_FILES  := $(shell find examples/tasks -type f ! -name '*.c' ! -name '*.pyc')
EXAMPLE_SOURCE := $(wildcard examples/tasks/*/*.c)
EXAMPLES       := $(patsubst examples/%,$(BUILD)/%,$(EXAMPLE_FILES) $(EXAMPLE_SOURCE:.c=.so))

# The shared object of a task is built as users build their own tasks, without the flags of fantail's own programs.
$(TASKS)/%.so: examples/tasks/%.c services/hosts/fantail_task.h
	$(call say,TASK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -g $(WARN) -fPIC -shared -Iservices/hosts $(CFLAGS) -o $@ $< -lm

$(TASKS)/%: examples/tasks/%
	@mkdir -p $(@D)
	$(Q)install -m $(if $(shell test -x $< && echo x),755,644) $< $@
