#include "uuid.h"

#include <sys/random.h>
#include <time.h>

void uuid7_format(uint64_t unix_ms, const uint8_t random[10], char out[UUID_TEXT_SIZE])
{
    snprintf(out, UUID_TEXT_SIZE, "%08x-%04x-%04x-%04x-%02x%02x%02x%02x%02x%02x", (unsigned)(unix_ms >> 16),
             (unsigned)(unix_ms & 0xFFFF), 0x7000u | (((unsigned)random[0] << 8 | random[1]) & 0x0FFFu),
             0x8000u | (((unsigned)random[2] << 8 | random[3]) & 0x3FFFu), random[4], random[5], random[6], random[7],
             random[8], random[9]);
}

void uuid7_new(char out[UUID_TEXT_SIZE])
{
    struct timespec ts;
    uint8_t random[10] = {0};
    clock_gettime(CLOCK_REALTIME, &ts);
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) BUG("getrandom gave too little");
    uuid7_format((uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / NS_PER_MS, random, out);
}
