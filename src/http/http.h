/* The HTTP edge on the main port: the only folder that knows libmicrohttpd.
 *
 * A request is matched to a row (method and path below the context path), its parameters are merged
 * and decoded, read from the view when the row can, and otherwise mailed to the core while the
 * connection is suspended; the answered call resumes it.
 *
 * Thread:  http_create, http_start, http_stop, http_destroy: main. Calls are delivered from any
 * thread. Limits:  http_options; HTTP_URL_MAX bytes of request line and headers per connection,
 * HTTP_FORM_MAX of body. Source:  http-api.md 1 (pipeline, error shapes, content types).
 */
#ifndef NACRE_HTTP_HTTP_H
#define NACRE_HTTP_HTTP_H

#include <stdatomic.h>
#include <stdint.h>

#include "api/asset.h"
#include "api/core_mail.h"
#include "api/row.h"
#include "base/fail.h"

#define HTTP_URL_MAX (512u << 10)
#define HTTP_FORM_MAX (32u << 20)
#define HTTP_THREADS 2

/* Shared figures, written by the edge, read by metrics. */
struct http_counters {
    atomic_ulong requests;
    atomic_ulong failures;
    atomic_ulong refused; /* unknown path, too large, too many */
    atomic_ulong open;    /* connections */
};

struct http_options {
    const char *bind;
    uint16_t port;            /* 0: the system picks; see http_port */
    const char *context_path; /* "/nacos"; "" for none */
    unsigned connections_max;
    unsigned connections_per_ip_max;
    uint32_t idle_timeout_ms;
    const struct api_rows *features; /* borrowed until http_destroy */
    size_t features_count;
    const struct http_asset *assets;
    size_t assets_count;
    struct core_port core;
    api_permit_fn permit; /* may be NULL */
    void *permit_self;
    const atomic_bool *ready; /* false: /v1/ns and /v2/ns answer 503 as http-api.md 1.2 says */
};

struct http;

/* E_IO with address and reason when the port cannot be bound. */
MUST_USE int http_create(const struct http_options *options, struct http **ret_http,
                         struct fail *fail);

/* Begin to serve. */
MUST_USE int http_start(struct http *h, struct fail *fail);

/* The bound port. */
uint16_t http_port(const struct http *h);

/* No new connections, answer what runs (the core must still run), then close. Blocks, at most
 * grace_ms. */
void http_stop(struct http *h, uint32_t grace_ms);

/* After http_stop. */
void http_destroy(struct http *h);

/* The edge's figures, until http_destroy. */
const struct http_counters *http_counters(const struct http *h);

#endif
