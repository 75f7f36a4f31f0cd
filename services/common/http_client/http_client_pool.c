/*
 * Pools of kept connections. curl walks all connections of a pool whenever a request ends, and checks every second
 * which of them are dead. With one pool, a request would cost more in a large fleet than in a small one. So the
 * connections are spread over many pools by their address.
 */
#include "common/base/hash.h"
#include "common/http_client/http_client_internal.h"

static uint64_t hash_authority(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return hash_bytes(host, strcspn(host, "/?#"));
}

static CURLSH *pool_new(void)
{
    CURLSH *pool = libcurl.share_init();
    if (!pool) BUG("curl has no memory for a pool of connections");
    if (libcurl.share_setopt(pool, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) != CURLSHE_OK)
        BUG("this libcurl cannot share connections");
    return pool;
}

void call_set_pool(struct http_call *call, const struct http_call_options *options)
{
    uint64_t hash = options->connect_to ? hash_text(options->connect_to) : hash_authority(options->url);
    CURLSH **pool = &call->client->pools[hash % HTTP_CLIENT_POOLS];
    if (!*pool) *pool = pool_new();
    if (call->pool == *pool) return;
    libcurl.easy_setopt(call->easy, CURLOPT_SHARE, *pool);
    call->pool = *pool;
}

void client_pools_release(struct http_client *c)
{
    for (size_t i = 0; i < HTTP_CLIENT_POOLS; i++)
        if (c->pools[i] && libcurl.share_cleanup(c->pools[i]) != CURLSHE_OK)
            BUG("a pool of connections is still in use");
}
