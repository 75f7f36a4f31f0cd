/*
 * `fantail map --reduce`: the whole input is one job, whose body is sent while standard input is still being read.
 * Each line is checked before it is sent, because a large body could not be sent again after a refusal. A line that no
 * coordinator accepts is not sent, and only that item fails. The service does not count the items that were not sent.
 * So the indices in the service's answer are translated to indices of the input.
 *
 * If the coordinator is lost, the whole job is sent again. So the sent lines are kept, unless they have more than
 * MAP_JOB_BYTES.
 */
#ifndef FANTAIL_CLI_MAP_MAP_REDUCE_H
#define FANTAIL_CLI_MAP_MAP_REDUCE_H

#include "cli/items/batch.h"
#include "common/json/json_walk.h"

struct map_run;

struct map_reduce {
    size_t offset;       /* offset in the batch; the lines before it were sent or left out */
    uint64_t index;      /* the number of items of the input before `offset` */
    uint64_t next_index; /* the number of items of the input before the next batch */
    uint64_t *left_out;  /* indices of the bad items in the input */
    size_t left_out_count, left_out_alloc;
    struct batch sent; /* the lines that were sent, unless sent_is_partial */
    size_t sent_again; /* offset in `sent`; the lines before it were sent in the running attempt */
    bool sent_is_partial;
    bool given;        /* the running attempt has sent lines */
    bool printed;      /* the result was printed */
    bool keeps;        /* all lines sent are also written to a file, because --errors needs the lines of failed items */
    int kept_fd;       /* the file, which has no name */
    struct batch kept; /* the file, mapped to memory when a line is first needed */
    uint64_t kept_index; /* the last position of batch_seek() */
    size_t kept_offset;
};

/* `keep` becomes the member `keeps`. Returns false and sets errno if the file cannot be created. */
MUST_CHECK bool map_reduce_init(struct map_reduce *r, bool keep);
void map_reduce_release(struct map_reduce *r);
/* Begins the job if needed. Sends the input that has been read, as far as the connection accepts it. */
void map_reduce_feed(struct map_run *run, uint64_t now);
/* Returns why the job cannot be sent again, or NULL if it can. */
const char *map_reduce_obstacle(const struct map_run *run);
/* Sends the job again, from its first line. */
void map_reduce_restart(struct map_run *run, uint64_t now);
/* Translates the service's index of an item to the index of the item in the input. */
uint64_t map_reduce_index(const struct map_reduce *r, uint64_t index);
/* Returns the line of an item. `index` is the service's index of the item. The line is borrowed, and empty if it was
 * not kept. */
struct json_slice map_reduce_item(struct map_run *run, uint64_t index);

#endif
