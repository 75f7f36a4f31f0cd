#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netdb.h>

#include "coordinator/fleet/endpoints.h"
#include "unit/leaks.h"

Test(endpoints, the_forms_of_the_workers_option)
{
    static const char *const good[] = {"static://a:1",
                                       "static://127.0.0.1:8081,[::1]:8082",
                                       "http://lb:80",
                                       "https://lb:443",
                                       "dns://workers.svc:8081",
                                       "static://unix:/run/a.sock,b:1,unix:/run/c.sock",
                                       "register://",
                                       "register+https://workers.svc"};
    static const char *const bad[] = {"",
                                      "a:1",
                                      "static://",
                                      "static://a",
                                      "static://a:0",
                                      "static://a:65536",
                                      "static://a:1,",
                                      "http://a:1,b:1",
                                      "dns://a:1/x",
                                      "static://a:1x",
                                      "ftp://a:1",
                                      "static://unix:",
                                      "static://unix:relative",
                                      "static+https://unix:/run/a.sock",
                                      "http://unix:/run/a.sock",
                                      "dns://unix:/run/a.sock",
                                      "register://a",
                                      "register+https://",
                                      "register+https://a:1"};
    char err[200];
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        cr_assert(endpoints_check(good[i], err, sizeof err), "%s: %s", good[i], err);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        err[0] = '\0';
        cr_assert_not(endpoints_check(bad[i], err, sizeof err), "%s", bad[i]);
        cr_assert_str_not_empty(err);
    }
}

Test(endpoints, the_reason_why_a_socket_is_refused_is_told)
{
    static const char *const told[][2] = {
        {"static://a:1,unix:t/w", "'unix:t/w': the path of a socket must begin with /"},
        {"static://unix:", "'unix:': the path of a socket must begin with /"},
        {"static+https://unix:/run/a", "'unix:/run/a': unix:PATH is allowed only after static://"},
        {"dns://unix:/run/a", "'unix:/run/a': unix:PATH is allowed only after static://"},
    };
    char err[200];
    for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
        cr_assert_not(endpoints_check(told[i][0], err, sizeof err));
        cr_assert_str_eq(err, told[i][1]);
    }
}

Test(endpoints, a_path_that_no_socket_can_have_is_refused)
{
    char text[200] = "static://unix:/", err[300];
    size_t head = strlen(text);
    memset(text + head, 'x', 107 - 1);
    cr_assert(endpoints_check(text, err, sizeof err), "%s", err);
    text[head + 107 - 1] = 'x';
    cr_assert_not(endpoints_check(text, err, sizeof err));
    cr_assert(strstr(err, "the path of a socket has at most 107 bytes"), "%s", err);
}

static void *count_added(void *data, struct endpoint *e)
{
    *(int *)data += 1;
    return NULL;
}

static void count_removed(void *data, struct endpoint *e)
{
    *(int *)data -= 1;
}

static const struct endpoints_ops ops = {count_added, count_removed};

Test(endpoints, a_socket_is_dialled_by_its_path)
{
    struct endpoints e;
    uv_loop_t loop;
    char err[200];
    int known = 0;
    uv_loop_init(&loop);
    cr_assert(endpoints_start(&e, &loop, "static://a:1,unix:/run/w", 5000, &ops, &known, err, sizeof err));
    cr_assert_eq(known, 2);
    cr_assert_str_eq(e.list->url, "http://localhost");
    cr_assert_str_eq(e.list->connect_to, "unix:/run/w");
    cr_assert_null(e.list->next->connect_to);
    endpoints_stop(&e);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    assert_no_leaks();
}

Test(endpoints, a_static_list_is_there_at_once_and_gone_at_the_end)
{
    struct endpoints e;
    uv_loop_t loop;
    char err[200];
    int known = 0;
    uv_loop_init(&loop);
    cr_assert(endpoints_start(&e, &loop, "static://a:1,b:2,[::1]:3", 5000, &ops, &known, err, sizeof err));
    cr_assert_eq(known, 3);
    cr_assert_str_eq(e.list->url, "http://[::1]:3");
    endpoints_stop(&e);
    cr_assert_eq(known, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    assert_no_leaks();
}

static void stop_when_known(uv_timer_t *timer)
{
    struct endpoints *e = timer->data;
    if (e->count == 0) return;
    endpoints_stop(e);
    uv_close((uv_handle_t *)timer, NULL);
}

Test(endpoints, a_name_gives_every_address_it_has, .timeout = 20)
{
    struct endpoints e;
    uv_loop_t loop;
    uv_timer_t look;
    char err[200];
    int known = 0;
    uv_loop_init(&loop);
    cr_assert(endpoints_start(&e, &loop, "dns://localhost:8081", 10, &ops, &known, err, sizeof err));
    uv_timer_init(&loop, &look);
    look.data = &e;
    uv_timer_start(&look, stop_when_known, 5, 5);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(known, 0);
    cr_assert_eq(uv_loop_close(&loop), 0);
    assert_no_leaks();
}

enum { NAME_ADDRESSES = 1000 };

struct name_answer {
    struct addrinfo nodes[NAME_ADDRESSES + 2];
    struct sockaddr_in addresses[NAME_ADDRESSES + 2];
    size_t n;
};

static void answer_with(struct name_answer *a, unsigned number)
{
    struct sockaddr_in *in = &a->addresses[a->n];
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + number)};
    a->nodes[a->n] = (struct addrinfo){
        .ai_family = AF_INET, .ai_addr = (struct sockaddr *)in, .ai_addrlen = sizeof *in, .ai_next = NULL};
    if (a->n) a->nodes[a->n - 1].ai_next = &a->nodes[a->n];
    a->n++;
}

struct changes {
    unsigned added, removed, registered, others;
    char last_added[40];
};

static void *note_added(void *data, struct endpoint *e)
{
    struct changes *c = data;
    c->added++;
    snprintf(c->last_added, sizeof c->last_added, "%s", e->connect_to);
    return NULL;
}

static void note_removed(void *data, struct endpoint *e)
{
    ((struct changes *)data)->removed++;
}

static void expect_changes(struct endpoints *e, struct changes *c, const struct addrinfo *answer, unsigned added,
                           unsigned removed)
{
    unsigned before = e->count;
    *c = (struct changes){0};
    endpoints_update(e, answer);
    cr_assert_eq(c->added, added, "%u were added", c->added);
    cr_assert_eq(c->removed, removed, "%u were removed", c->removed);
    cr_assert_eq(e->count, before + added - removed);
}

Test(endpoints, of_a_thousand_addresses_only_the_changes_are_reported)
{
    static const struct endpoints_ops noting = {note_added, note_removed};
    static struct name_answer first, turned, less, twice;
    struct endpoints e;
    struct changes c = {0};
    uv_loop_t loop;
    char err[200];
    for (unsigned i = 0; i < NAME_ADDRESSES; i++) answer_with(&first, i);
    for (unsigned i = 0; i < NAME_ADDRESSES; i++) answer_with(&turned, (i * 7 + 3) % NAME_ADDRESSES);
    for (unsigned i = 10; i <= NAME_ADDRESSES + 1; i++) answer_with(&less, i);
    for (unsigned i = 0; i < 4; i++) answer_with(&twice, 5000 + i / 2);

    uv_loop_init(&loop);
    cr_assert(endpoints_start(&e, &loop, "dns://workers:8081", 5000, &noting, &c, err, sizeof err));
    expect_changes(&e, &c, first.nodes, NAME_ADDRESSES, 0);
    cr_assert_str_eq(c.last_added, "10.0.3.231:8081");
    cr_assert_str_eq(e.list->url, "http://workers:8081");
    expect_changes(&e, &c, turned.nodes, 0, 0);
    expect_changes(&e, &c, less.nodes, 2, 10);
    expect_changes(&e, &c, twice.nodes, 2, NAME_ADDRESSES - 8);
    expect_changes(&e, &c, NULL, 0, 2);
    endpoints_stop(&e);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    assert_no_leaks();
}

static void note_registered(void *data, struct endpoint *e, bool other, const char *tasks)
{
    struct changes *c = data;
    c->registered++;
    c->others += other;
}

static enum lease_verdict registered(struct endpoints *e, const char *address, bool leaving, uint64_t now)
{
    struct registration r = {.leaving = leaving};
    struct lease_terms terms;
    snprintf(r.worker, sizeof r.worker, "worker at %s", address);
    snprintf(r.address, sizeof r.address, "%s", address);
    return endpoints_register(e, &r, now, &terms);
}

static const struct endpoints_ops noting_all = {note_added, note_removed, note_registered};

static void start(struct endpoints *e, uv_loop_t *loop, const char *workers, struct changes *c)
{
    char err[200];
    *c = (struct changes){0};
    uv_loop_init(loop);
    cr_assert(endpoints_start(e, loop, workers, 5000, &noting_all, c, err, sizeof err), "%s", err);
}

static void stop(struct endpoints *e, uv_loop_t *loop)
{
    endpoints_stop(e);
    uv_run(loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(loop), 0);
    assert_no_leaks();
}

Test(endpoints, a_worker_that_registers_is_there_whatever_the_name_server_says)
{
    static struct name_answer both;
    struct endpoints e;
    struct changes c;
    uv_loop_t loop;
    answer_with(&both, 1);
    answer_with(&both, 2);
    start(&e, &loop, "dns+https://workers:8081", &c);
    cr_assert_eq(registered(&e, "10.0.0.1:8081", false, 1), LEASE_NEW);
    cr_assert_eq(registered(&e, "10.0.0.3:8082", false, 1), LEASE_NEW);
    cr_assert_eq(e.count, 2);
    cr_assert_str_eq(e.list->url, "https://workers:8082");
    cr_assert_str_eq(e.list->connect_to, "10.0.0.3:8082");
    expect_changes(&e, &c, NULL, 0, 0);
    expect_changes(&e, &c, both.nodes, 1, 0);
    cr_assert_eq(registered(&e, "10.0.0.2:8081", false, 1), LEASE_NEW);
    cr_assert_eq(c.registered, 1);
    cr_assert_eq(c.others, 1);
    cr_assert_eq(registered(&e, "10.0.0.2:8081", false, 2), LEASE_RENEWED);
    cr_assert_eq(c.others, 1);

    /* The name server still lists a worker that has ended its registration. */
    cr_assert_eq(registered(&e, "10.0.0.1:8081", true, 3), LEASE_LEFT);
    cr_assert_eq(e.count, 2);
    expect_changes(&e, &c, both.nodes, 0, 0);
    cr_assert_eq(registered(&e, "10.0.0.1:8081", false, 4), LEASE_NEW);
    cr_assert_eq(e.count, 3);
    stop(&e, &loop);
}

Test(endpoints, a_lease_that_runs_out_takes_the_address_along_unless_it_is_listed)
{
    struct endpoints e;
    struct changes c;
    uv_loop_t loop;
    struct registration ended;
    unsigned n = 0;
    start(&e, &loop, "static://10.0.0.1:1", &c);
    cr_assert_eq(registered(&e, "10.0.0.1:1", false, 1), LEASE_NEW);
    cr_assert_eq(registered(&e, "10.0.0.2:1", false, 1), LEASE_NEW);
    cr_assert_eq(e.count, 2);
    for (uint64_t now = 1; now < 10 * NS_PER_S; now += LEASES_TICK_MS * NS_PER_MS)
        while (endpoints_end_lease(&e, now, &ended)) n++;
    cr_assert_eq(n, 2);
    cr_assert_eq(e.count, 1);
    cr_assert_str_eq(e.list->url, "http://10.0.0.1:1");
    stop(&e, &loop);
}

Test(endpoints, only_workers_that_register)
{
    struct endpoints e;
    struct changes c;
    uv_loop_t loop;
    start(&e, &loop, "register://", &c);
    cr_assert_eq(e.count, 0);
    cr_assert_eq(registered(&e, "[fd00::1]:1", false, 1), LEASE_NEW);
    cr_assert_str_eq(e.list->url, "http://[fd00::1]:1");
    cr_assert_eq(registered(&e, "[fd00::1]:1", true, 2), LEASE_LEFT);
    cr_assert_eq(e.count, 0);
    stop(&e, &loop);
    start(&e, &loop, "register+https://workers", &c);
    cr_assert_eq(registered(&e, "[fd00::1]:1", false, 1), LEASE_NEW);
    cr_assert_str_eq(e.list->url, "https://workers:1");
    cr_assert_str_eq(e.list->connect_to, "[fd00::1]:1");
    stop(&e, &loop);
}

Test(endpoints, each_registration_looks_at_a_few_addresses_however_many_there_are)
{
    enum { WORKERS = 20000 };
    struct endpoints e;
    struct lease_terms terms;
    uv_loop_t loop;
    char err[200];
    int known = 0;
    uv_loop_init(&loop);
    cr_assert(endpoints_start(&e, &loop, "register://", 5000, &ops, &known, err, sizeof err));
    for (int leaves = 0; leaves < 2; leaves++) {
        for (unsigned i = 0; i < WORKERS; i++) {
            struct registration r = {.leaving = leaves};
            snprintf(r.worker, sizeof r.worker, "w%u", i);
            snprintf(r.address, sizeof r.address, "10.0.%u.%u:8081", i / 250, i % 250);
            cr_assert_eq(endpoints_register(&e, &r, 1, &terms), leaves ? LEASE_LEFT : LEASE_NEW);
        }
        cr_assert_eq(known, leaves ? 0 : WORKERS);
    }
    cr_assert_leq(e.by_address.steps, 10 * WORKERS);
    endpoints_stop(&e);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    assert_no_leaks();
}

Test(endpoints, only_lists_of_socket_files_are_all_socket_files)
{
    cr_assert(endpoints_are_socket_files("static://unix:/run/a"));
    cr_assert(endpoints_are_socket_files("static://unix:/run/a,unix:/run/b"));
    cr_assert_not(endpoints_are_socket_files("static://unix:/run/a,b:8081"));
    cr_assert_not(endpoints_are_socket_files("static://b:8081,unix:/run/a"));
    cr_assert_not(endpoints_are_socket_files("static+https://unix:/run/a"));
    cr_assert_not(endpoints_are_socket_files("dns://workers:8081"));
    cr_assert_not(endpoints_are_socket_files("register://"));
}
