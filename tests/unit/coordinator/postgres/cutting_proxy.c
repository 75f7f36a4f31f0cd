#include "unit/coordinator/postgres/cutting_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/base.h"

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void close_pair(struct cutting_proxy *p, int i)
{
    for (int side = 0; side < 2; side++) {
        if (p->pairs[i][side] >= 0) close(p->pairs[i][side]);
        p->pairs[i][side] = -1;
    }
    if (p->waits_for_reply == i) p->waits_for_reply = -1;
}

static void accept_pair(struct cutting_proxy *p)
{
    struct sockaddr_in address = loopback(p->server_port);
    int client = accept(p->listener, NULL, NULL), i = 0;
    while (i < PROXY_PAIRS && p->pairs[i][0] >= 0) i++;
    if (client < 0) return;
    if (i == PROXY_PAIRS || p->refuses) {
        close(client);
        return;
    }
    p->pairs[i][0] = client;
    p->pairs[i][1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(p->pairs[i][1], (struct sockaddr *)&address, sizeof address) != 0) close_pair(p, i);
}

/* Returns whether the bytes end with the message "COMMIT". */
static bool is_commit(const char *bytes, ssize_t len)
{
    const char message[] = "COMMIT";
    return len >= (ssize_t)sizeof message && memcmp(bytes + len - sizeof message, message, sizeof message) == 0;
}

static void pass_on(struct cutting_proxy *p, int i, int side)
{
    char bytes[65536];
    ssize_t n = recv(p->pairs[i][side], bytes, sizeof bytes, 0);
    bool commits = side == 0 && n > 0 && is_commit(bytes, n), is_cut = n <= 0;
    if (side == 1 && p->waits_for_reply == i) is_cut = true;
    if (commits && p->cut == CUT_COMMIT) is_cut = true;
    if (commits && p->cut == CUT_REPLY) p->waits_for_reply = i;
    if (commits) p->cut = CUT_NOTHING;
    for (ssize_t sent = 0, more; !is_cut && sent < n; sent += more) {
        more = send(p->pairs[i][!side], bytes + sent, (size_t)(n - sent), MSG_NOSIGNAL);
        if (more < 0) is_cut = true;
    }
    if (is_cut) close_pair(p, i);
}

static void *run(void *data)
{
    struct cutting_proxy *p = data;
    while (!p->ends) {
        struct pollfd polled[2 * PROXY_PAIRS + 1] = {{.fd = p->listener, .events = POLLIN}};
        for (int i = 0; i < 2 * PROXY_PAIRS; i++)
            polled[i + 1] = (struct pollfd){.fd = p->pairs[i / 2][i % 2], .events = POLLIN};
        if (poll(polled, ARRAY_SIZE(polled), 20) <= 0) continue;
        for (int i = 0; i < 2 * PROXY_PAIRS; i++)
            if (polled[i + 1].revents && p->pairs[i / 2][i % 2] == polled[i + 1].fd) pass_on(p, i / 2, i % 2);
        if (polled[0].revents) accept_pair(p);
    }
    for (int i = 0; i < PROXY_PAIRS; i++) close_pair(p, i);
    return NULL;
}

void cutting_proxy_start(struct cutting_proxy *p, int server_port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    *p = (struct cutting_proxy){.server_port = server_port, .waits_for_reply = -1};
    memset(p->pairs, -1, sizeof p->pairs);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(p->listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(p->listener, 16) != 0 ||
        getsockname(p->listener, (struct sockaddr *)&address, &len) != 0)
        BUG("cannot listen");
    p->port = ntohs(address.sin_port);
    if (pthread_create(&p->thread, NULL, run, p) != 0) BUG("cannot start a thread");
}

void cutting_proxy_stop(struct cutting_proxy *p)
{
    p->ends = true;
    pthread_join(p->thread, NULL);
    close(p->listener);
}
