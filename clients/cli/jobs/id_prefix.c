#include "cli/jobs/id_prefix.h"

#define ID_LENGTH 36

bool id_prefix_is_valid(const char *word)
{
    size_t len = strlen(word);
    return len > 0 && len <= ID_LENGTH && strspn(word, "0123456789abcdef-") == len;
}

bool id_prefix_is_whole(const char *word)
{
    return strlen(word) == ID_LENGTH;
}

bool id_prefix_matches(const char *prefix, const char *id)
{
    return strncmp(prefix, id, strlen(prefix)) == 0;
}

bool id_prefix_is_passed(const char *prefix, const char *id)
{
    return strncmp(id, prefix, strlen(prefix)) < 0;
}

size_t id_prefix_length(const char *id, const char *other)
{
    size_t same = 0;
    while (id[same] && id[same] == other[same]) same++;
    if (id[same]) same++;
    return same < ID_PREFIX_SHOWN ? ID_PREFIX_SHOWN : same;
}
