/* The reading half of connection: the head of an answer and the framing of its body. Only for connection.c. */
#ifndef FANTAIL_CLI_HTTP_CONNECTION_INTERNAL_H
#define FANTAIL_CLI_HTTP_CONNECTION_INTERNAL_H

#include "cli/http/connection.h"

#define CONNECTION_RAW_BYTES    65536u       /* where framing is read */
#define CONNECTION_DIRECT_BYTES (256u << 10) /* most that is read straight into the answer at once */

void connection_answer_begin(struct connection *c);
/* Where body bytes may be read without looking at them; NULL when the next byte is framing. */
char *connection_answer_room(struct connection *c, size_t *room);
/* `len` bytes were read there. */
void connection_answer_added(struct connection *c, size_t len);
/* Takes c->raw apart. False when it is no HTTP. May set the state to CONNECTION_READING and CONNECTION_DONE. */
MUST_CHECK bool connection_answer_decode(struct connection *c);
/* The peer closed: true when that is the proper end of this answer (the state is CONNECTION_DONE then). */
MUST_CHECK bool connection_answer_ended_by_close(struct connection *c);

#endif
