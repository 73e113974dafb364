/* Whole calls of the registry's rows in a story: decoded, read from the view, admitted, committed
 * and answered, as an edge and the core do it, without either.
 *
 * Thread:  the test's (THREAD_CORE).
 * Errors:  a type or route that no row has fails the test.
 */
#ifndef NACRE_TESTS_NAMING_CALLS_H
#define NACRE_TESTS_NAMING_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "api/row.h"
#include "naming_harness.h"

/* What a call came to. err: 0, or the code of fail. text: the body, or the text of fail; freed by
 * answer_free. */
struct answer {
    int err;
    struct fail fail;
    char *text;
    bool read; /* answered from the view, without the core */
};

void answer_free(struct answer *a);

/* A gRPC request of connection conn. */
struct answer call_rpc(struct story *s, uint64_t conn, const char *type, const char *json);

/* As call_rpc; the body need not end in NUL. */
struct answer call_rpc_span(struct story *s, uint64_t conn, const char *type, struct span json);

/* An HTTP request; params as in a query string ("serviceName=a&ip=%31"). */
struct answer call_http(struct story *s, unsigned method, const char *path, const char *params);

/* The same with an arena that the input has filled to the brim: nothing is left for arena_try, and
 * what the server itself needs must fit into the spare. */
struct answer call_rpc_full(struct story *s, uint64_t conn, const char *type, const char *json);
struct answer call_http_full(struct story *s, unsigned method, const char *path,
                             const char *params);

/* The call succeeds and its body is this text, byte for byte; but every lastRefTime that the body
 * has is written as 0, after a look that it is not. */
void expect_rpc(struct story *s, uint64_t conn, const char *type, const char *json,
                const char *body);
void expect_http(struct story *s, unsigned method, const char *path, const char *params,
                 const char *body);

/* The call fails with this code and these words. The fail is in s->fail. */
void refuse_rpc(struct story *s, uint64_t conn, const char *type, const char *json, int err,
                const char *text);
void refuse_http(struct story *s, unsigned method, const char *path, const char *params, int err,
                 const char *text);

/* The rows themselves. */
const struct api_row *row_of_rpc(const char *type);
const struct api_row *row_of_http(unsigned method, const char *path);

#endif
