#include <errno.h>
#include <getopt.h>

#include "sim/world.h"

static void usage(void)
{
    puts("usage: sim [--seeds N] [--from SEED]   run N random scenarios; --stop: end after the first failure\n"
         "       sim --seed SEED [--verbose]     run the random scenario SEED; --verbose prints each event\n"
         "       sim --shows                     run the large scenarios, and compare their results with limits\n"
         "       sim --show NAME                 run one large scenario");
}

/* Returns whether the text is a whole number. If not, says so. */
static bool read_number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0) return true;
    fprintf(stderr, "sim: a whole number was expected, not \"%s\"\n", text);
    return false;
}

static void report(uint64_t seed, const struct sim_scenario *sc, const struct sim_result *r)
{
    printf("seed %llu: %s  trace %016llx  %u workers x %u, %llu items, %.3f s, %llu events, %s%s%s\n",
           (unsigned long long)seed, r->ok ? "ok" : "BROKEN", (unsigned long long)r->trace, sc->workers, sc->slots,
           (unsigned long long)sc->items, r->makespan_s, (unsigned long long)r->events,
           r->ok ? sched_status_name(r->status) : "", r->ok ? "" : ": ", r->why);
}

static int run_seeds(uint64_t from, uint64_t n, bool stop)
{
    uint64_t broken = 0, statuses[SCHED_STATUS_COUNT] = {0};
    for (uint64_t seed = from; seed < from + n; seed++) {
        struct sim_scenario sc = sim_random_scenario(seed);
        struct sim_result r = sim_run(&sc);
        statuses[r.status] += r.ok;
        if (!r.ok) {
            broken++;
            report(seed, &sc, &r);
            if (stop) return 1;
        }
    }
    printf("sim: %llu seeds from %llu, %llu broken;", (unsigned long long)n, (unsigned long long)from,
           (unsigned long long)broken);
    for (unsigned i = 0; i < SCHED_STATUS_COUNT; i++)
        printf(" %s %llu", sched_status_name((enum sched_status)i), (unsigned long long)statuses[i]);
    putchar('\n');
    return broken > 0;
}

static int run_one(uint64_t seed, bool verbose)
{
    struct sim_scenario sc = sim_random_scenario(seed);
    sc.verbose = verbose;
    struct sim_result r = sim_run(&sc);
    report(seed, &sc, &r);
    return !r.ok;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'},
        {"from", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 's'},
        {"verbose", no_argument, NULL, 'v'},
        {"shows", no_argument, NULL, 'S'},
        {"show", required_argument, NULL, 'N'},
        {"help", no_argument, NULL, 'h'},
        {"stop", no_argument, NULL, 'x'},
        {0},
    };
    uint64_t n = 1000, from = 1, seed = 0;
    bool one = false, verbose = false, stop = false, good = true;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'n': good = read_number(optarg, &n); break;
        case 'f': good = read_number(optarg, &from); break;
        case 's':
            good = read_number(optarg, &seed);
            one = true;
            break;
        case 'v': verbose = true; break;
        case 'x': stop = true; break;
        case 'S': return sim_shows(NULL);
        case 'N': return sim_shows(optarg);
        default: usage(); return c == 'h' ? 0 : 2;
        }
        if (!good) return 2;
    }
    if (optind < argc) {
        usage();
        return 2;
    }
    return one ? run_one(seed, verbose) : run_seeds(from, n, stop);
}
