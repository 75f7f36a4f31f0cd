/* The task of `fantail map -- COMMAND`: a task of mode exec that is made from the command line. */
#ifndef FANTAIL_CLI_FLEET_COMMAND_TASK_H
#define FANTAIL_CLI_FLEET_COMMAND_TASK_H

#include "common/base/buf.h"
#include "protocol/run_gate.h"

#define COMMAND_TASK_NAME "command"

struct command_task {
    char *const *words;      /* NULL-terminated */
    bool items_are_text;     /* whether the items are text; if not, they are JSON */
    bool items_are_rows;     /* whether the items are rows (item_lists.h) */
    bool repeats;            /* a word with a placeholder for all values is repeated for each value */
    const char *shell;       /* runs the words, joined with spaces; NULL: there is no shell */
    bool blanks;             /* a placeholder for a value that the row lacks is removed; if not, it stays as it is */
    const char *placeholder; /* stands for the item; NULL: {} */
    bool values_are_text;    /* whether the output is text; if not, it is JSON where possible */
    const char *blocks;      /* where the blocks are (block_source_add_path()); NULL: the items are not blocks */
    const char *header;      /* OFFSET:BYTES of the text that each block begins with; NULL: none */
    bool item_to_stdin;      /* whether the command gets the item on standard input; if not, as an argument */
    bool raw;                /* words, items and outputs are any bytes, as strings of common/json/byte_text.h */
    bool records;            /* the values are records (protocol/run_record.h) */
    bool passes_lines;       /* each line of the output is passed on as it comes (private_fleet.h) */
    bool dry_run;            /* the command lines are the results, and nothing runs */
    const char *results;     /* folder for the files of each item; NULL: none */
    const char *tag;         /* text before each line of the output, may have placeholders; NULL: none */
    int nice;                /* added to the niceness */
    bool is_code;            /* the values are not quoted for the shell */
    bool quotes_words;       /* each word is quoted for the shell after the values have been put into it */
    bool ignores_items;      /* the command does not get the item */
    bool sets_variables;     /* the command has the variables PARALLEL_SEQ and PARALLEL_JOBSLOT */
    const char *slot_name;   /* the variable that has the number of the slot, from 0 on; NULL: none */
    bool quotes_lines;       /* with dry_run: the command lines are quoted for the shell */
    bool plus;               /* whether the placeholders of --plus are replaced */
    uint64_t total;          /* the number of all items, for {##}; 0: {##} is not used */
    char *const *columns;    /* NULL-terminated names of the columns, for the folders of `results`; NULL: no names */
    const char *folder;      /* the folder in which the command runs; NULL: the current one */
    struct run_gate_rules rules;
    unsigned running_max; /* with rules.limits_running: commands that may run at once */
};

/* The files of a run that its processes use. */
struct command_files {
    const char *gate;
    const char *lines; /* named pipe for the lines of the output */
};

/* Appends the task.json. cwd is the folder in which the command runs; NULL: the folder of the task. */
void command_task_describe(const struct command_task *t, const struct command_files *files, const char *cwd,
                           struct buf *json);

#endif
