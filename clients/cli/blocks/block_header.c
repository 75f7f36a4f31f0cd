#include "cli/blocks/block_header.h"

/* Reads a number from 0 to BLOCK_HEADER_BYTES that ends with the text `end`. */
static bool read_number(const char *text, const char *end, size_t *number)
{
    char *after;
    if (*text < '0' || *text > '9') return false;
    unsigned long n = strtoul(text, &after, 10);
    *number = n;
    return n <= BLOCK_HEADER_BYTES && strcmp(after, end) == 0;
}

bool block_header_read(struct block_header *h, const char *text)
{
    *h = (struct block_header){0};
    if (strcmp(text, ":") == 0 || strcmp(text, ".*\\n") == 0) {
        h->lines = 1;
        return true;
    }
    if (strncmp(text, ".{", 2) == 0) return read_number(text + 2, "}", &h->bytes);
    return read_number(text, "", &h->lines);
}

size_t block_header_find(const struct block_header *h, const char *data, size_t len)
{
    size_t at = 0;
    if (h->bytes) return h->bytes <= len ? h->bytes : 0;
    for (size_t line = 0; line < h->lines; line++) {
        const char *newline = at < len ? memchr(data + at, '\n', len - at) : NULL;
        if (!newline) return 0;
        at = (size_t)(newline + 1 - data);
    }
    return at;
}
