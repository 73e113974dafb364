/* The HTTP edge's own state, shared by http.c (start, stop) and request.c (the life of a request).
 *
 * Thread:  as the comments at the fields say.
 */
#ifndef NACRE_HTTP_EDGE_H
#define NACRE_HTTP_EDGE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "http/front.h"
#include "http/gate.h"
#include "http/http.h"
#include "http/route.h"

struct MHD_Daemon;
struct request;

/* One libmicrohttpd daemon. Small heads share one with small buffers and threads of their own; a
 * large head gets a large buffer for one request. */
struct lane {
    struct http *http;
    struct MHD_Daemon *daemon;
    bool one_shot; /* connections end after their first request */
    atomic_uint open;
};

struct http {
    struct http_options options;
    struct span context;
    struct routes *routes;
    struct gate *gate;
    struct front *front;
    struct lane small;
    struct lane large;
    struct http_counters counters;
    atomic_uint threads_named;
    atomic_bool stopping;
    atomic_size_t upload_bytes;
    pthread_mutex_t lock;    /* guards the three below */
    bool closed;             /* the core is asked nothing more */
    struct request *running; /* the core has them */
    unsigned active;         /* begun and not completed */
    pthread_cond_t quiet;    /* signalled when one of the two ends while stopping */
};

#endif
