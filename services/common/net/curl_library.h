/*
 * The functions of libcurl, from a library that is loaded when a program first needs it. Loading libcurl takes some
 * milliseconds and a megabyte of memory, because it brings TLS, LDAP, Kerberos and SSH with it. Most workers and most
 * runs of `fantail` never use it.
 *
 * The compiler does not check the values of easy_setopt() here, so pass exactly the type that libcurl documents: `1L`
 * for a long.
 */
#ifndef FANTAIL_COMMON_NET_CURL_LIBRARY_H
#define FANTAIL_COMMON_NET_CURL_LIBRARY_H

#include <curl/curl.h>

#include "common/base/base.h"

/* clang-format off */
#define CURL_LIBRARY_FUNCTIONS(X) \
    X(global_init) X(global_cleanup) \
    X(easy_init) X(easy_cleanup) X(easy_setopt) X(easy_getinfo) X(easy_perform) X(easy_pause) X(easy_send) \
    X(easy_recv) X(easy_strerror) \
    X(multi_init) X(multi_cleanup) X(multi_setopt) X(multi_add_handle) X(multi_remove_handle) X(multi_info_read) \
    X(multi_socket_action) X(multi_strerror) \
    X(share_init) X(share_cleanup) X(share_setopt) \
    X(slist_append) X(slist_free_all) \
    X(url) X(url_cleanup) X(url_set)
/* clang-format on */

/* The member easy_init is curl_easy_init(), and so on. All members are NULL until curl_library_load() has succeeded. */
struct curl_library {
#define X(name) __typeof__(&curl_##name) name;
    CURL_LIBRARY_FUNCTIONS(X)
#undef X
};
extern struct curl_library libcurl;

/* Loads the library, unless it is already loaded. Does not call libcurl.global_init(). Returns NULL, or the reason why
 * the library cannot be loaded. The reason is valid until the next call. Not thread-safe. */
MUST_CHECK const char *curl_library_load(void);

#endif
