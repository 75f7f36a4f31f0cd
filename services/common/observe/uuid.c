#include "common/observe/uuid.h"

#include <sys/random.h>
#include <time.h>

static char *add_hex(char *to, uint64_t value, int digits)
{
    for (int i = digits; i-- > 0; value >>= 4) to[i] = "0123456789abcdef"[value & 0xF];
    return to + digits;
}

void uuid7_format(uint64_t unix_ms, const uint8_t random[10], char out[UUID_TEXT_SIZE])
{
    uint64_t last = 0;
    for (int i = 4; i < 10; i++) last = last << 8 | random[i];
    out = add_hex(out, unix_ms >> 16, 8);
    *out++ = '-';
    out = add_hex(out, unix_ms & 0xFFFF, 4);
    *out++ = '-';
    out = add_hex(out, 0x7000u | (((unsigned)random[0] << 8 | random[1]) & 0x0FFFu), 4);
    *out++ = '-';
    out = add_hex(out, 0x8000u | (((unsigned)random[2] << 8 | random[3]) & 0x3FFFu), 4);
    *out++ = '-';
    out = add_hex(out, last, 12);
    *out = '\0';
}

/* In the pattern, x is any digit, and v is a digit of the variant. */
bool uuid7_is_valid(const char *text)
{
    static const char pattern[] = "xxxxxxxx-xxxx-7xxx-vxxx-xxxxxxxxxxxx";
    if (strlen(text) != sizeof pattern - 1) return false;
    for (size_t i = 0; i < sizeof pattern - 1; i++) {
        const char one[] = {pattern[i], '\0'};
        const char *allowed = pattern[i] == 'x' ? "0123456789abcdef" : pattern[i] == 'v' ? "89ab" : one;
        if (!strchr(allowed, text[i])) return false;
    }
    return true;
}

void uuid7_new(char out[UUID_TEXT_SIZE])
{
    struct timespec ts;
    uint8_t random[10] = {0};
    clock_gettime(CLOCK_REALTIME, &ts);
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) BUG("getrandom gave too little");
    uuid7_format((uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / NS_PER_MS, random, out);
}
