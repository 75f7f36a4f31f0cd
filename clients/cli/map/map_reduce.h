/*
 * `fantail map --reduce`: the whole input is one job, whose body is sent while standard input is still read. Nothing of
 * it can be sent again, so each line is looked at before it goes out; one that no coordinator takes is left out and
 * fails alone. The service's indices, which leave those out too, are turned into the input's.
 */
#ifndef FANTAIL_CLI_MAP_MAP_REDUCE_H
#define FANTAIL_CLI_MAP_MAP_REDUCE_H

#include "cli/map/batch.h"
#include "common/json/json_walk.h"

struct map_run;

struct map_reduce {
    size_t offset;          /* of the batch: what stands before it is sent */
    uint64_t index, behind; /* items of the input: before `offset`, and before the next batch */
    uint64_t *left_out;     /* the bad ones, by their place in the input */
    size_t left_out_count, left_out_alloc;
    bool keeps; /* --errors quotes failed items: what was sent is in a file without a name ... */
    int kept_fd;
    struct batch kept;   /* ... which is mapped when the first one is asked for */
    uint64_t kept_index; /* batch_seek()'s last position */
    size_t kept_offset;
};

/* False, with errno, when what is sent cannot be kept. */
MUST_CHECK bool map_reduce_init(struct map_reduce *r, bool keep);
void map_reduce_release(struct map_reduce *r);
/* Begins the job and gives it what has been read, as far as the connection takes it. */
void map_reduce_feed(struct map_run *run, uint64_t now);
/* The place in the input of the item that the service calls `index`. */
uint64_t map_reduce_index(const struct map_reduce *r, uint64_t index);
/* The line of that item; nothing when it was not kept. Borrowed. */
struct json_slice map_reduce_item(struct map_run *run, uint64_t index);

#endif
