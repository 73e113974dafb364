/* HTTP parameters: query string and form body merged, query first, first value wins.
 *
 * Thread:  edge; read-only after it is built. Spans live in the call's arena.
 * Limits:  API_PARAMS_MAX parameters; the edge answers 400 beyond.
 * Source:  http-api.md 1.1 (merging, booleans), 4.0 (naming helper), 1.3 (texts of missing and
 * mistyped ones).
 */
#ifndef NACRE_API_PARAMS_H
#define NACRE_API_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/span.h"

#define API_PARAMS_MAX 256

struct api_param {
    struct span name;
    struct span value;
};

/* Plain data. headers holds the few request headers that rows read (names in lower case). */
struct api_params {
    const struct api_param *list;
    unsigned count;
    const struct api_param *headers;
    unsigned headers_count;
    struct span body; /* the raw body when it was no form */
    /* The first file part of a multipart form; its other parts are in list. data NULL: none came.
     */
    struct span file_field; /* the part's own name */
    struct span file_name;
    struct span file;
};

/* The value; the empty span with data NULL when absent (present but empty: data not NULL). */
struct span params_get(const struct api_params *p, const char *name);

/* The value or, when absent or blank, dflt. */
struct span params_or(const struct api_params *p, const char *name, struct span dflt);

/* A request header by its lower-case name; empty when absent. */
struct span params_header(const struct api_params *p, const char *name);

/* The trimmed value of a required parameter. E_MISSING "Param 'x' is required." when absent or
 * blank (v2 rows make their own text). */
MUST_USE int params_require(const struct api_params *p, const char *name, struct span *ret,
                            struct fail *fail);

/* Naming helper's booleans: y yes on true t (any case) are true, any other text is false, absent or
 * blank leaves *ret. */
void params_bool(const struct api_params *p, const char *name, bool *ret);

/* A decimal integer in [min, max]; absent or blank leaves *ret. E_INVALID `For input string: "x"`
 * otherwise. */
MUST_USE int params_int(const struct api_params *p, const char *name, int64_t min, int64_t max,
                        int64_t *ret, struct fail *fail);

/* A finite number; absent or blank leaves *ret. E_INVALID `For input string: "x"` otherwise. */
MUST_USE int params_double(const struct api_params *p, const char *name, double *ret,
                           struct fail *fail);

#endif
