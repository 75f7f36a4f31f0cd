/* A block: a part of the input of a run, which one command gets on its standard input. */
#ifndef FANTAIL_CLI_BLOCKS_INPUT_BLOCK_H
#define FANTAIL_CLI_BLOCKS_INPUT_BLOCK_H

#include "common/base/base.h"

struct input_block {
    uint64_t offset, bytes; /* its place in the input; in a file of its own, `bytes` includes the header */
    int fd;                 /* a file that has only this block; -1: the block is a part of the input file */
};

enum block_step {
    BLOCK_CUT,
    BLOCK_MORE, /* more bytes or a free place are needed */
    BLOCK_END,  /* after the last block, and after a fault */
};

#define BLOCK_FAULT_SIZE 160

#endif
