/*
 * Declarations shared by the connection*.c files. No other file includes this.
 *
 *     connection.c         connects, sends the request, receives bytes
 *     connection_answer.c  reads the head of the answer and removes the framing from its body
 */
#ifndef FANTAIL_CLI_HTTP_CONNECTION_INTERNAL_H
#define FANTAIL_CLI_HTTP_CONNECTION_INTERNAL_H

#include "cli/http/connection.h"

#define CONNECTION_RAW_BYTES    65536u       /* size of c->raw, into which heads and framing are read */
#define CONNECTION_DIRECT_BYTES (256u << 10) /* maximum number of bytes that one read puts directly into c->answer */

/* The only function that changes a state. */
void connection_move(struct connection *c, enum connection_state to);

/* Call it when a request begins. Drops the previous answer. */
void connection_answer_begin(struct connection *c);
/* If the next bytes are known to belong to the body, returns where in c->answer to read them, and sets *room to how
 * many fit. Returns NULL if the next byte may be framing. */
char *connection_answer_room(struct connection *c, size_t *room);
/* Call it after `len` bytes have been read into the room of connection_answer_room(). */
void connection_answer_added(struct connection *c, size_t len);
/* Decodes the bytes in c->raw: reads heads and framing, and moves bytes of the body to c->answer. Returns false if the
 * bytes are not HTTP, or if c->fault has another reason. Moves c to CONNECTION_READING when the head is complete, and
 * to CONNECTION_DONE at the end of the answer. */
MUST_CHECK bool connection_answer_decode(struct connection *c);
/* Call it when the peer has closed the connection. If the answer has neither a length nor chunks, the close ends the
 * answer. In this case, moves c to CONNECTION_DONE and returns true. */
MUST_CHECK bool connection_answer_ended_by_close(struct connection *c);

#endif
