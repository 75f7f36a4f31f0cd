#include "common/net/curl_library.h"

#include <dlfcn.h>

struct curl_library libcurl;

/* The file names of libcurl: the usual name, and the name of Debian's build with GnuTLS, which has the same
 * functions. */
static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};

const char *curl_library_load(void)
{
    static const struct {
        const char *name;
        size_t offset;
    } functions[] = {
#define X(function) {"curl_" #function, offsetof(struct curl_library, function)},
        CURL_LIBRARY_FUNCTIONS(X)
#undef X
    };
    struct curl_library found;
    void *handle = NULL;
    if (libcurl.easy_init) return NULL;
    for (size_t i = 0; !handle && i < ARRAY_SIZE(names); i++) handle = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
    if (!handle) return dlerror();
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
        void *function = dlsym(handle, functions[i].name);
        if (!function) return dlerror();
        memcpy((char *)&found + functions[i].offset, &function, sizeof(function));
    }
    libcurl = found;
    return NULL;
}
