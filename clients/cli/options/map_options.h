/* The options of `fantail map`, and the settings that follow from them. */
#ifndef FANTAIL_CLI_OPTIONS_MAP_OPTIONS_H
#define FANTAIL_CLI_OPTIONS_MAP_OPTIONS_H

#include "cli/http/target.h"
#include "cli/items/batch.h"
#include "cli/items/input_source.h"
#include "cli/options/block_options.h"
#include "cli/options/common_option.h"
#include "cli/options/map_manner.h"
#include "cli/options/record_options.h"
#include "common/base/base.h"
#include "common/base/buf.h"
#include "common/service/option.h"
#include "protocol/run_gate.h"

enum map_order { MAP_ORDER_INPUT, MAP_ORDER_COMPLETION };
enum map_progress { MAP_PROGRESS_AUTO, MAP_PROGRESS_ALWAYS, MAP_PROGRESS_NEVER };

struct map_options {
    struct map_manner manner;
    struct target_config client;
    bool text, json, null, index, to_stdin, skip_failed, quiet, hedge, detach, keep_order, bar, eta, line_buffer, lb;
    struct option_words arg_files;
    struct option_words labels;  /* with `detach` */
    const char *idempotency_key; /* with `detach`; NULL: none */
    int order, progress;
    const char *replace; /* NULL: {} */
    const char *errors, *given_common, *reduce, *tasks;
    const char *jobs, *timeout, *retry_on, *delay_retry;  /* NULL: not given */
    const char *rate;                                     /* NULL: not given */
    const char *delay, *load, *tagstring;                 /* for a command; NULL: not given */
    const char *halt, *joblog, *results;                  /* results: for a command. NULL: not given */
    bool plus;                                            /* for a command */
    bool tag, shell, dry_run, raw, resume, resume_failed; /* for a command */
    int64_t chunk_size, max_concurrency, max_attempts, retries, workers, processes, memfree, nice;
    int64_t tolerated_failure_count;   /* -1: no limit */
    double item_timeout_s, deadline_s; /* item_timeout_s below 0: not given */
    double max_rate;                   /* for a task: items that may start per second; 0: no limit */
    double reconnect_s;                /* 0: a job whose coordinator is lost is not sent again */
    double retry_delay_s;              /* below 0: the service's default */
    const char *jobs_file;             /* has the number of commands that may run at once; NULL: none */
    unsigned running_max;              /* with jobs_file: the number in the file at the start */
    struct run_gate_rules rules;       /* for a command */
    bool records;                      /* the values are records of commands (protocol/run_record.h) */

    const char *task;             /* NULL in command mode */
    char as_command[400];         /* if the task is also a program: the command line that would run it; otherwise "" */
    char **command;               /* NULL-terminated; NULL: none */
    struct record_options record; /* how lines become items */
    struct block_options block;   /* how the input is cut into blocks */
    struct record_words words;    /* the command, changed for these options */
    uint64_t total;               /* the number of all items; 0: no placeholder needs it */
    char **columns;               /* NULL-terminated names of the columns; NULL: the columns have no names */
    const char *shell_path;       /* runs the command; NULL: it runs without a shell */
    bool values_are_text;         /* print JSON strings without quotes and escapes */
    bool sends_text;              /* whether the body of a job has lines of text; if not, lines of JSON */
    bool sends_rows;              /* whether the items are rows (item_lists.h), for a command */
    struct common_option common;
    enum input_form form; /* of the bytes that the source gives */
    struct input_source source;
};

extern const struct option_spec map_option_spec;
/* Prints "fantail map: --OPTION: TEXT" on standard error. Returns EXIT_USAGE. */
int map_options_complain(const char *option, const char *text);
/* Returns false if the program should end now, with the exit status *status. If this function returns true, the caller
 * calls map_options_release(). Strings are borrowed from argv, the manner and the environment. Changes argv. */
MUST_CHECK bool map_options_read(struct map_options *o, const struct map_manner *manner, int argc, char **argv,
                                 int *status);
void map_options_release(struct map_options *o);
/* Sets *path to the path and query of the request that submits a job. deadline_s is the number of seconds left; 0: no
 * deadline. */
void map_options_query(const struct map_options *o, double deadline_s, struct buf *path);

#endif
