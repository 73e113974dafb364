/* The life of one HTTP request, from its first line to its answer.
 *
 *   begin -> head -> body ... -> run -> respond                     answered on the edge
 *                                 run -> core -> deliver -> respond   suspended in between
 *
 * A request has two holders: its connection, until libmicrohttpd says that it is over, and the
 * core, from the post until deliver. Either may let go first, so the request is counted; where it
 * stands is one atomic state (request.c).
 *
 * Thread:  the connection's edge thread; request_abandon_running: main. deliver: any.
 * Limits:  HTTP_URL_MAX, HTTP_FORM_MAX, API_PARAMS_MAX.
 */
#ifndef NACRE_HTTP_REQUEST_H
#define NACRE_HTTP_REQUEST_H

#include <microhttpd.h>
#include <stdint.h>

#include "api/call.h"
#include "http/answer.h"
#include "http/edge.h"
#include "http/target.h"
#include "http/upload.h"

/* What the edge keeps per connection, as libmicrohttpd's socket context. Plain data. */
struct visit {
    char ip[46]; /* INET6_ADDRSTRLEN */
    uint16_t port;
};

/* What the connection's thread does when it is called next. */
enum step { STEP_HEAD, STEP_BODY, STEP_ANSWER };

/* Where a request stands between its two holders. Moves: OPEN -> POSTED; POSTED -> OPEN (the core
 * refused the mail), DELIVERED (answered), ABANDONED (the connection or the edge ended first). The
 * last two are final. */
enum state { STATE_OPEN, STATE_POSTED, STATE_DELIVERED, STATE_ABANDONED };

struct request {
    struct api_call call; /* first: the core knows nothing else */
    atomic_int state;
    atomic_uint holders;
    struct request *prev; /* in http.running, while POSTED */
    struct request *next;
    /* From here on the connection's thread only. */
    struct http *http;
    const struct lane *lane;
    struct MHD_Connection *connection;
    enum step step;
    unsigned method;
    char *uri;
    size_t uri_len;
    struct target target;
    struct asked asked;
    struct route route;
    struct upload upload;
    size_t discarded;
    bool decided; /* answer is ready */
    struct answer answer;
    char ip[46];
};

/* libmicrohttpd's callbacks; cls is the lane. The first makes the request when the request line has
 * come, the second is called for every piece of it, the third when it is over. */
void *request_begin(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result request_handle(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_size, void **request);
void request_end(void *cls, struct MHD_Connection *connection, void **request,
                 enum MHD_RequestTerminationCode why);

/* Stop waiting for the core: every running request is answered 503, later ones too, and what the
 * core still delivers is freed. Returns when no deliver touches the edge any more. */
void request_abandon_running(struct http *h);

/* A header's value by its name in any case; NULL when absent. */
const char *request_header(const struct request *r, const char *name);

/* The answer is ready, and no row was asked for it. */
void request_refuse(struct request *r);

#endif
