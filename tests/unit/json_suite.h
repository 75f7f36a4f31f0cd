/*
 * The cases in tests/data/json-test-suite, for every module that reads JSON. Files y_* must be accepted, files n_* must
 * be refused, and files i_* may be accepted or refused. Tests must run in the root of the repository, or
 * FANTAIL_TEST_DATA must be the path of tests/data.
 */
#ifndef FANTAIL_TEST_JSON_SUITE_H
#define FANTAIL_TEST_JSON_SUITE_H

#include <stddef.h>

/* Calls fn for each file, with verdict 'y', 'n' or 'i'. The bytes have an allocation of exactly their size, so that
 * ASan reports every access past their end. Returns the number of files. */
size_t json_suite_each(void (*fn)(const char *name, char verdict, const char *data, size_t len));

/* Call this at the end of a test. The test fails if memory has leaked, but only builds with a leak detector notice a
 * leak. */
void assert_no_leak(void);

#endif
