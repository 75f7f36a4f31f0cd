/* Private to results_reader.c (the lines), results_document.c (the parts of a document), results_calls.c (the calls to
 * the store) and results_query.c. */
#ifndef FANTAIL_COORDINATOR_RESULTS_RESULTS_INTERNAL_H
#define FANTAIL_COORDINATOR_RESULTS_RESULTS_INTERNAL_H

#include "common/http_server/http_server.h"
#include "coordinator/answers/result_writer.h"
#include "coordinator/recorded/answer_index.h"
#include "coordinator/job/job_hint.h"
#include "coordinator/recorded/block_cache.h"
#include "coordinator/results/job_watch.h"

enum results_state { STREAM_ASKING, STREAM_OPEN, STREAM_TAIL, STREAM_CUT, STREAM_STATE_COUNT };
/* The part that is being written. A document has two parts with answers. For each of these parts, the reader reads all
 * answers of the job once. */
enum results_part { PART_LINES, PART_VALUES, PART_ERRORS };
enum results_filter { ONLY_BOTH, ONLY_VALUES, ONLY_ERRORS, ONLY_COUNT };

/* The request of the client. */
struct results_query {
    uint64_t from; /* index of the first item that the client wants */
    enum results_filter only;
    uint64_t progress_ns; /* time between two progress lines; 0: none */
};

/* The job's options that affect its results. */
struct results_options {
    bool runs; /* errors are listed as runs */
    bool is_reduced;
};

struct results_reader {
    struct job_watch watch;
    struct http_exchange *exchange;
    enum results_state state;
    struct results_query query;
    enum results_part part;
    struct stored_job job;      /* the job as it was last read */
    bool runs;                  /* consecutive items with the same error get one line */
    bool waits;                 /* this reader answers the POST of the job */
    enum job_likeness likeness; /* what the only item looks like, if `waits` is true */
    bool is_reduced;            /* `waits` is true and the job is reduced: the result replaces the values */

    /* The known answers. */
    struct answer_index index;
    uint64_t last_block; /* number of the last block whose ranges are in the index */
    /* How many answers had been recorded when the reading of the ranges began; UINT64_MAX: not known. */
    uint64_t ranged_answers;
    bool more;      /* the store has ranges of later blocks */
    bool has_ended; /* the job had already ended when the ranges were last read from the store */
    bool complete;  /* the job has ended, and all its answers are in the index */

    /* The answers that are being written. */
    uint64_t position;        /* the item that is written next */
    struct answer_span span;  /* begins with the item `position`; n is 0: there is no span */
    bool placed;              /* span_at and span_end are set */
    size_t span_at, span_end; /* where the bytes of the span begin and end in its block */
    struct buf missing;       /* the line for items that have no answer although the job has ended */
    struct result_writer writer;
    struct block_cache cache;
    unsigned spans_read;    /* number of spans that were written or skipped */
    unsigned ahead_at_span; /* the value of spans_read at which to look again for the next block to read */
    uint64_t ahead_bytes;   /* during read_ahead(): bytes of answers before the span that it checks */
    struct buf pending;     /* what is sent before the next answer: control lines, the last line */
    size_t pending_at;

    /* The calls that are open; NULL: none. */
    struct store_call *asking;    /* READ_JOB or READ_RANGES */
    struct store_call *reading;   /* READ_BLOCK */
    struct read_gate_place place; /* set while the reader waits to read a block */
    size_t held_bytes;            /* bytes of `cache`, as counted in the gate */
    uint64_t reading_for;         /* the first item whose answer is needed from the block of `reading` */
    const char *waiting;          /* the reason of the last waiting line; NULL: the job does not wait */
    bool poked;                   /* something was recorded since the store was last asked */
    uint64_t ask_at_ns, ask_gap_ns;
    bool backs_off;        /* the last call failed, so no call is started before ask_at_ns */
    uint64_t missed_block; /* the last block that was missing in the store; 0: none */
    uint64_t read_at_ns;   /* no block is read before this time, because the last read failed or memory is short */

    uint64_t pulled_ns, last_output_ns, last_progress_ns;
};

/* results_reader.c */

void results_move(struct results_reader *r, enum results_state to);
/* Call it when the state of the job has been read from the store. Begins the stream. */
void results_open(struct results_reader *r);
/* Starts again with the first item, and asks the store again. */
void results_rewind(struct results_reader *r);
/* Ends the stream without a last line, and logs why. */
void results_cut(struct results_reader *r, const char *why);
/* Ends the stream with a last line that says that the job was removed. */
void results_end_removed(struct results_reader *r);
/* Forgets the known answers, and asks the store again. */
void results_restart(struct results_reader *r);
/* Tells the cache which of its blocks are needed next. */
void results_plan(struct results_reader *r);
/* Returns whether the reader needs more ranges before it can continue. */
bool results_are_dry(const struct results_reader *r);

/* results_document.c */

/* Writes the part before the first answer. */
void results_begin(struct results_reader *r);
/* Call it when all answers of this part have been written. Writes the text that follows the answers. Returns whether
 * this was the last part. */
MUST_CHECK bool results_end_part(struct results_reader *r);
/* If the job now waits for a different reason, writes a line. Returns whether a line was written. */
MUST_CHECK bool results_add_waiting(struct results_reader *r);
/* Writes a heartbeat, which shows that the connection is alive. */
void results_add_heartbeat(struct results_reader *r);

/* results_calls.c */

/* Asks for the state of the job, and then for the ranges of new blocks. */
void results_ask(struct results_reader *r);
/* Copies an ended job and all its answers from a READ_JOB call, instead of asking for them. Begins the stream. */
void results_take_whole(struct results_reader *r, const struct store_call *read);
/* Asks for more ranges if the store is known to have more. Otherwise, if something was recorded since the store was
 * last asked, asks for the state of the job. */
void results_ask_more(struct results_reader *r);
/* Reads a block, unless this reader is already reading one. `item` is the first item whose answer is needed from the
 * block. If there is no room for the block now, the exchange is woken later, when there is room. */
void results_read_block(struct results_reader *r, uint64_t number, uint64_t item);
/* Drops all blocks that this reader holds. The reader reads them again when it needs them. */
void results_drop_blocks(struct results_reader *r);
/* Returns how many bytes of blocks this reader may hold. */
size_t results_cache_cap(const struct results_reader *r);
/* Makes the reader ignore the result of the open call `asking`. */
void results_forget_ask(struct results_reader *r);
/* Detaches the open calls from the reader. */
void results_detach_calls(struct results_reader *r);

/* results_query.c */

/* Reads the query parameters. If a parameter is wrong, answers the request and returns false. */
MUST_CHECK bool results_read_query(struct http_exchange *x, struct results_query *query);
/* Reads the options of a job that READ_JOB has returned. */
struct results_options results_read_options(const struct stored_job *job);

#endif
