#include "hosts/runs/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hosts/runs/machine_state.h"

#define LOOK_NS      (100 * NS_PER_MS) /* pause between two checks for a halt, a new time limit or low memory */
#define SEAT_WAIT_US 2000              /* pause between two searches for a free seat */

/* ---- locks: byte 0 is for the gate, byte 1 + n is for seat n ---- */

static int lock_byte(const struct gate *g, int command, short type, unsigned byte)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int result;
    do result = fcntl(g->fd, command, &lock);
    while (result < 0 && errno == EINTR);
    return command == F_OFD_GETLK && result == 0 ? lock.l_type != F_UNLCK : result;
}

static void lock(const struct gate *g)
{
    if (lock_byte(g, F_OFD_SETLKW, F_WRLCK, 0) < 0) BUG("cannot lock the gate: %s", strerror(errno));
}

static void unlock(const struct gate *g)
{
    if (lock_byte(g, F_OFD_SETLK, F_UNLCK, 0) < 0) BUG("cannot unlock the gate: %s", strerror(errno));
}

static bool is_alive(void *arg, unsigned seat)
{
    return lock_byte(arg, F_OFD_GETLK, F_WRLCK, 1 + seat) > 0;
}

static void take_seat(struct gate *g)
{
    for (;;) {
        for (g->seat = 0; g->seat < g->shared->seats_count; g->seat++)
            if (lock_byte(g, F_OFD_SETLK, F_WRLCK, 1 + g->seat) == 0) return;
        usleep(SEAT_WAIT_US);
    }
}

/* ---- opening ---- */

static bool map_file(struct gate *g)
{
    struct stat st;
    if (fstat(g->fd, &st) != 0) return false;
    size_t size = (size_t)st.st_size;
    if (size < sizeof(struct run_gate)) return errno = EINVAL, false;
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, 0);
    if (at == MAP_FAILED) return false;
    g->shared = at;
    if (g->shared->version == RUN_GATE_VERSION && size >= run_gate_size(g->shared->seats_count)) return true;
    munmap(at, size);
    g->shared = NULL;
    return errno = EINVAL, false;
}

bool gate_open(struct gate *g, const char *path)
{
    *g = (struct gate){.fd = open(path, O_RDWR | O_CLOEXEC)};
    if (g->fd < 0) return false;
    if (!map_file(g)) {
        int error = errno;
        close(g->fd);
        errno = error;
        return false;
    }
    take_seat(g);
    g->shared->seats[g->seat].state = RUN_GATE_SEAT_FREE;
    g->has_rules = run_gate_has_rules(g->shared);
    return true;
}

void gate_close(struct gate *g)
{
    if (!g->shared) return;
    munmap(g->shared, run_gate_size(g->shared->seats_count));
    close(g->fd);
    *g = (struct gate){.fd = -1};
}

/* ---- starts and ends ---- */

static uint32_t turns(const struct gate *g)
{
    return __atomic_load_n(&g->shared->turns, __ATOMIC_SEQ_CST);
}

/* If the number of turns has changed, wakes the waiting processes. */
static void wake(const struct gate *g, uint32_t before)
{
    if (turns(g) != before) syscall(SYS_futex, &g->shared->turns, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void wait_for_turn(const struct gate *g, uint32_t seen, uint64_t wait_ns)
{
    struct timespec limit = {.tv_sec = (time_t)(wait_ns / NS_PER_S), .tv_nsec = (long)(wait_ns % NS_PER_S)};
    syscall(SYS_futex, &g->shared->turns, FUTEX_WAIT, seen, &limit, NULL, 0);
}

void gate_count_item(struct gate *g)
{
    __atomic_add_fetch(&g->shared->begun, 1, __ATOMIC_RELAXED);
}

bool gate_enter(struct gate *g, uint64_t index)
{
    g->shared->seats[g->seat].index = index;
    if (!g->has_rules) return true;
    for (;;) {
        uint64_t wait_ns = 0;
        struct run_gate_machine machine = machine_state_read(&g->shared->rules);
        lock(g);
        uint32_t before = turns(g);
        enum run_gate_answer answer = run_gate_ask(g->shared, g->seat, now_ns(), &machine, is_alive, g, &wait_ns);
        uint32_t seen = turns(g);
        unlock(g);
        wake(g, before);
        if (answer != RUN_GATE_WAIT) return answer == RUN_GATE_GO;
        wait_for_turn(g, seen, wait_ns);
    }
}

unsigned gate_slot(const struct gate *g)
{
    return g->has_rules ? g->shared->seats[g->seat].slot : g->seat + 1;
}

void gate_leave(struct gate *g, enum run_gate_end end)
{
    if (!g->has_rules) return;
    lock(g);
    uint32_t before = turns(g);
    run_gate_note_end(g->shared, g->seat, end, now_ns());
    unlock(g);
    wake(g, before);
}

enum gate_order gate_look(struct gate *g, uint64_t now, uint64_t *next_ns)
{
    const struct run_gate_rules *r = &g->shared->rules;
    *next_ns = UINT64_MAX;
    if (!g->has_rules) return GATE_GO_ON;
    struct run_gate_machine machine = machine_state_read(r);
    lock(g);
    uint64_t deadline_ns = run_gate_deadline_ns(g->shared, g->shared->seats[g->seat].started_ns);
    bool yields = run_gate_must_yield(g->shared, g->seat, now, &machine, is_alive, g);
    unlock(g);
    bool changes = r->timeout_factor > 0 || r->halt_cuts || r->min_free_bytes;
    if (deadline_ns) *next_ns = deadline_ns;
    if (changes && *next_ns > now + LOOK_NS) *next_ns = now + LOOK_NS;
    if (g->shared->state == RUN_GATE_CUT) return GATE_CUT;
    if (deadline_ns && now >= deadline_ns) return GATE_TIMED_OUT;
    return yields ? GATE_YIELD : GATE_GO_ON;
}
