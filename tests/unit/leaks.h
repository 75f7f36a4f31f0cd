/* Criterion's sandbox hides leaks, so the last line of each test must check for leaks. The check does nothing without
 * AddressSanitizer. */
#ifndef FANTAIL_TEST_LEAKS_H
#define FANTAIL_TEST_LEAKS_H

#include <criterion/criterion.h>

#if defined(__SANITIZE_ADDRESS__)
#define FANTAIL_HAS_LSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FANTAIL_HAS_LSAN 1
#endif
#endif

#ifdef FANTAIL_HAS_LSAN
#include <sanitizer/lsan_interface.h>
#define assert_no_leaks() cr_assert(!__lsan_do_recoverable_leak_check(), "memory was leaked")
#else
#define assert_no_leaks() ((void)0)
#endif

#endif
