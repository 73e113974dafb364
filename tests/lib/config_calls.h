/* Whole HTTP calls of config's rows in a story: decoded, read from the view, admitted, committed,
 * answered and written as the edge writes them, without either.
 *
 * Thread:  the test's (THREAD_CORE).
 * Errors:  a route that no row has fails the test.
 */
#ifndef NACRE_TESTS_CONFIG_CALLS_H
#define NACRE_TESTS_CONFIG_CALLS_H

#include "api/row.h"
#include "config_harness.h"

/* A request. NULL: none of it. Plain data. */
struct http_request {
    unsigned method;
    const char *path;    /* below the context */
    const char *params;  /* as in a query string */
    const char *headers; /* "name: value\n..." in lower case */
    struct span body;    /* raw: no form */
    struct span file;    /* of a multipart form */
    const char *file_name;
    const char *file_field; /* NULL: not told */
};

/* What the wire would carry. text ends in NUL; freed by http_answer_close. */
struct http_answer {
    int status;
    const char *content_type; /* NULL: the header is left out */
    char *text;
    size_t len;
    bool read;                        /* answered from the view, without the core */
    const struct api_header *headers; /* the row's own; until the story ends */
    unsigned headers_count;
};

void http_answer_close(struct http_answer *a);

/* The value of a header of the row's own; NULL when it has none. */
const char *http_answer_header(const struct http_answer *a, const char *name);

/* Play it until it is answered. */
struct http_answer http_play(struct cstory *s, const struct http_request *r);

/* Play it up to where it waits, NULL when it is answered at once; for calls that are held. */
struct cstory_call *http_begin(struct cstory *s, const struct http_request *r);

/* http_play and a look at the answer: status, Content-Type and body are these, to the byte. */
void http_expect(struct cstory *s, const struct http_request *r, int status,
                 const char *content_type, const char *body);

#endif
