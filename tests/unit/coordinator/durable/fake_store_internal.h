/* The functions that the files of the fake store share. fake_store.c keeps the jobs of the fake store, and
 * fake_store_acts.c has the operations. */
#ifndef FANTAIL_TEST_FAKE_STORE_INTERNAL_H
#define FANTAIL_TEST_FAKE_STORE_INTERNAL_H

#include "unit/coordinator/durable/fake_store.h"

/* Adds a copy of this job, created at s->now_ms. */
struct fake_job *fake_store_insert(struct fake_store *s, const struct stored_job *from);
/* Removes the job and its blocks, and frees it. */
void fake_store_remove(struct fake_store *s, struct fake_job *j);

/* Carries out the operation of a call. Returns its status. */
enum store_status fake_store_act(struct fake_store *s, struct store_call *c);

#endif
