/*
 * The parsing cases in tests/data/json-test-suite, for every module that reads JSON: y_ files must be accepted, n_
 * files refused, i_ files may be either. Tests run in the repository's root, or FANTAIL_TEST_DATA names tests/data.
 */
#ifndef FANTAIL_TEST_JSON_SUITE_H
#define FANTAIL_TEST_JSON_SUITE_H

#include <stddef.h>

/* Calls fn for each file, with verdict 'y', 'n' or 'i'; the bytes are an exact allocation, so that ASan sees every
 * step beyond them. Returns how many files there were. */
size_t json_suite_each(void (*fn)(const char *name, char verdict, const char *data, size_t len));

/* For tests that end with it: no leak so far, as far as the build can tell. */
void assert_no_leak(void);

#endif
