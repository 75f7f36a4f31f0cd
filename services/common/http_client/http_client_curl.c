#include <unistd.h>

#include "common/http_client/http_client_internal.h"
#include "common/observe/log.h"

#define MAX_CONNECTIONS 4096 /* limit of idle connections; curl's default would depend on the number of calls */

void client_need_curl(struct http_client *c)
{
    if (c->multi) return;
    const char *why = curl_library_load();
    if (why) {
        log_error("libcurl cannot be loaded; install the package libcurl4", LOG_STR("reason", why));
        log_flush_wait(100);
        _exit(1);
    }
    if (libcurl.global_init(CURL_GLOBAL_SSL) != CURLE_OK) BUG("curl does not start");
    c->multi = libcurl.multi_init();
    if (!c->multi) BUG("curl has no memory for a multi handle");
    libcurl.multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)MAX_CONNECTIONS);
    libcurl.multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    libcurl.multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, client_on_curl_socket);
    libcurl.multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    libcurl.multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, client_on_curl_timer);
    libcurl.multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
}

void client_curl_release(struct http_client *c)
{
    if (!c->multi) return;
    libcurl.multi_cleanup(c->multi);
    libcurl.global_cleanup();
    c->multi = NULL;
}
