/* The command line of fantail-host-exec. */
#ifndef FANTAIL_HOSTS_EXEC_OPTIONS_H
#define FANTAIL_HOSTS_EXEC_OPTIONS_H

#include "hosts/exec_answer.h"

struct exec_options {
    bool text, append, row, blanks, repeat, dry_run, record, raw, code, ignore_item, parallel_variables, plus,
        quote_words;
    uint64_t total;
    char **columns; /* names of the columns, for the folders of --results */
    size_t columns_count;
    bool quoted;                      /* with dry_run: the command line is quoted for a shell */
    char *slot_variable;              /* gets the number of the slot, from 0 on; NULL: none */
    char *placeholder;                /* NULL: {} */
    char *shell;                      /* runs the words, joined with spaces; NULL: there is no shell */
    const char *gate;                 /* path of the run's gate; NULL: none */
    uint64_t header_at, header_bytes; /* the part of the file that each block begins with */
    const char *blocks;               /* where the blocks of the items are; NULL: the items are not blocks */
    const char *lines;                /* named pipe for the lines of the output; NULL: none */
    char *results;                    /* folder for what each command writes; NULL: none */
    char *tag;                        /* with placeholders; stands before each line of the output; NULL: none */
    int nice;                         /* added to the niceness of the command */
    enum exec_output output;
    uint64_t timeout_ms; /* 0: none */
    size_t error_bytes;  /* how many bytes of stdout and of stderr an error has */
    char **command;      /* NULL-ended; not empty */
};

/* Reads the options. Ends the program with a message if the options are invalid, and after --help and --version. */
void exec_options_read(struct exec_options *o, int argc, char **argv);

#endif
