/* Answers: what an HTTP response says, in Nacos's shapes, before libmicrohttpd sees it.
 *
 * Thread:  edge, one at a time.
 * Owns:    the body until send_answer or body_close.
 * Source:  http-api.md 1.1 (content types), 1.2 (readiness texts), 1.3 (error shapes), 1.6
 * (parameter check); golden/http.
 */
#ifndef NACRE_HTTP_ANSWER_H
#define NACRE_HTTP_ANSWER_H

#include <stdbool.h>

#include "api/call.h"
#include "api/row.h"
#include "base/buf.h"
#include "base/span.h"

enum answer_flag {
    ANSWER_NO_VARY = 1,     /* came before the filter that adds Vary and the CORS headers */
    ANSWER_NO_CSP = 2,      /* came before the filter that adds Content-Security-Policy */
    ANSWER_PREFLIGHT = 4,   /* says what a browser may do */
    ANSWER_NO_STORE = 8,    /* the parameter check's Pragma, Expires, Cache-Control */
    ANSWER_REVALIDATE = 16, /* Cache-Control: no-cache, for the console's files */
    ANSWER_CLOSE = 32,      /* the connection ends with it */
};
#define ANSWER_BARE (ANSWER_NO_VARY | ANSWER_NO_CSP)

/* Plain data. */
struct answer {
    int status;
    unsigned flags;                   /* enum answer_flag, or-ed */
    const char *content_type;         /* static; NULL or "": the header is left out */
    const char *location;             /* NULL: none; outlives the answer */
    unsigned allow;                   /* methods for an Allow header; 0: none */
    const struct api_header *headers; /* the row's own; outlive the answer */
    unsigned headers_count;
    struct body body;
};

/* How a request asked, as far as it shapes its failures. Plain data. */
struct asked {
    const char *method;
    struct span path;       /* with the context, as it was sent, without the query */
    struct span path_below; /* without the context */
    bool html;              /* Accept names text/html */
};

/* Shape (a), the container's error: JSON, or a small page for browsers. */
void answer_container(struct answer *a, int status, struct span message, const struct asked *asked);

/* No row has this path, or none takes the method; other_row may be NULL (1.2 number 7, 1.3). */
void answer_no_row(struct answer *a, const struct api_row *other_row, const struct asked *asked);

/* The naming filter's 503 while the node is not ready. */
void answer_not_ready(struct answer *a);

/* The row's shape of a failure. http_status: 0 = from the code. */
void answer_fail(struct answer *a, enum api_shape shape, const struct fail *fail, int http_status,
                 const struct asked *asked);

/* A reply of a row, answered or failed; takes its body. */
void answer_reply(struct answer *a, enum api_shape shape, struct api_reply *take_reply,
                  const struct asked *asked);

/* A plain text of ours. */
void answer_text(struct answer *a, int status, struct span text);

/* The reason phrase of a status; "Unknown Status" for one that has none. */
const char *answer_reason(int status);

#endif
