/*
 * Declarations shared by the files of the registrar. Private to registrar*.c:
 *     registrar.c          the coordinators, and the start and end of the registrar
 *     registrar_contact.c  the registrations with one coordinator
 *     registrar_options.c  the options and the files that they name
 */
#ifndef FANTAIL_WORKER_REGISTRATION_REGISTRAR_INTERNAL_H
#define FANTAIL_WORKER_REGISTRATION_REGISTRAR_INTERNAL_H

#include <arpa/inet.h>

#include "common/base/buf.h"
#include "common/base/random.h"
#include "common/http_client/http_client.h"
#include "common/service/tls_options.h"
#include "common/service/token_file.h"
#include "worker/registration/coordinators.h"
#include "worker/registration/registrar.h"

enum registering { REGISTERING_OK, REGISTERING_REFUSED, REGISTERING_FAILED, REGISTERING_COUNT };

/*
 *     NEW --> HELD <--> LOST       how the last request ended; NEW: none has ended
 *      +----------------^
 *     NEW, HELD, LOST --the goodbye has ended--> LEFT
 */
enum contact_state { CONTACT_NEW, CONTACT_HELD, CONTACT_LOST, CONTACT_LEFT, CONTACT_STATE_COUNT };

/* One coordinator, or a balancer of coordinators. */
struct contact {
    struct contact *next;
    struct registrar *registrar;
    char *url, *connect_to; /* connect_to is NULL if the URL contains the address */
    uint64_t named_ns;      /* when a name server or a balancer last reported this address */
    bool finds;             /* this is a balancer, used only to find coordinators */
    unsigned known_n;       /* for a balancer: number of answers in a row from known coordinators */
    enum contact_state state;
    struct http_call *call;
    uv_timer_t timer; /* the next registration */
    bool again;       /* another request must follow as soon as the call has ended */
    bool says_goodbye;
    unsigned failures;
    size_t token, refused; /* index of the token to send; how many tokens were refused in a row */
    char fault[300];       /* the last logged fault; "": nothing is wrong */
    char body[1024];
    size_t body_len, body_sent;
    struct buf answer;
};

struct registrar {
    uv_loop_t *loop;
    const struct registrar_config *config;
    struct registrar_facts facts;
    char address[INET6_ADDRSTRLEN]; /* "": the coordinator uses the peer address */
    struct http_client *client;
    struct tls_store tls;
    struct token_file tokens;
    struct coordinators coordinators;
    struct contact *contacts;
    struct random_source random;
    bool leaving;
    uint64_t leave_by_ns;
    uint64_t *results[REGISTERING_COUNT];
};

extern const char *const registering_names[REGISTERING_COUNT];

/* Sends a registration, or a goodbye if the worker is leaving. Call it only while no call of this contact is
 * running. */
void contact_ask(struct contact *c);
/* Cancels the running call, and sends nothing more. */
void contact_stop(struct contact *c);
/* Cancels the running call, and frees the contact when its timer is closed. */
void contact_close(struct contact *c);
/* For a balancer: sends several requests within a second or two, because there may be unknown coordinators behind the
 * balancer. */
void contact_look(struct contact *c);
/* Adds the coordinator at this address. Returns true if the coordinator was not known. */
bool registrar_found(struct registrar *r, const char *url, const char *connect_to);
/* Calls contact_look() for every balancer. Call it when a coordinator has been lost, because a new coordinator may have
 * taken its place. */
void registrar_look(struct registrar *r);

/* Reads the certificates and tokens. On failure returns false, with a sentence in err. */
MUST_CHECK bool registrar_open_files(struct registrar *r, char *err, size_t err_size);
/* Sets r->address to the address to register; "" if the coordinator is to use the peer address. */
void registrar_choose_address(struct registrar *r);

#endif
