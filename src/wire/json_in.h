/* Reading JSON from outside: cJSON behind limits, with getters that are as lenient as Jackson and
 * say what was wrong.
 *
 * Thread:  any; a document belongs to one thread.
 * Limits:  more than JSON_IN_DEPTH_MAX levels, JSON_IN_BYTES_MAX bytes or JSON_IN_VALUES_MAX values
 *          are refused before cJSON sees a byte (it recurses, and takes about 80 bytes for a value
 *          of two). Where the arena is full, a getter says E_TOO_LARGE.
 * Source:  grpc-sdk.md 2.1 (null = absent, unknown keys ignored, "3" for an integer, 3 for a
 *          string, case-sensitive keys).
 */
#ifndef NACRE_WIRE_JSON_IN_H
#define NACRE_WIRE_JSON_IN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/fail.h"
#include "base/span.h"

#define JSON_IN_DEPTH_MAX 32
#define JSON_IN_BYTES_MAX (12u << 20)
#define JSON_IN_VALUES_MAX (1u << 19)

struct cJSON;

/* Parse text as one JSON value with nothing but white space after it. *ret_doc is freed by
 * json_in_free.
 * E_PARSE  not JSON, deeper than JSON_IN_DEPTH_MAX, NUL inside a string   E_TOO_LARGE  over
 *   JSON_IN_BYTES_MAX, JSON_IN_VALUES_MAX */
MUST_USE int json_in_parse(struct span text, struct cJSON **ret_doc, struct fail *fail);

/* As json_in_parse, and the value must be an object. An empty or blank text is E_PARSE ("Invalid
 * request"). */
MUST_USE int json_in_object(struct span text, struct cJSON **ret_doc, struct fail *fail);

/* Free a document; NULL is fine. */
void json_in_free(struct cJSON *doc);

/* The member key; NULL when absent or null. Keys are compared case-sensitively. obj may be NULL. */
const struct cJSON *json_in_get(const struct cJSON *obj, const char *key);

/* True when the member exists and is not null. */
bool json_in_has(const struct cJSON *obj, const char *key);

/* Text of a member; numbers and booleans are turned into text. Absent or null leaves *ret as it
 * was. The text is copied to the arena.
 * E_PARSE  an object or array: "field 'x': expected a string, got an object" */
MUST_USE int json_in_str(const struct cJSON *obj, const char *key, struct arena *arena,
                         struct span *ret, struct fail *fail);

/* An integer member within [min, max]; "3" is accepted. Absent, null or "" leaves *ret.
 * E_PARSE  not a whole number   E_INVALID  out of range, with the range in the text */
MUST_USE int json_in_int(const struct cJSON *obj, const char *key, int64_t min, int64_t max,
                         int64_t *ret, struct fail *fail);

/* A finite number member; "1.5" is accepted. Absent, null or "" leaves *ret. E_PARSE otherwise. */
MUST_USE int json_in_double(const struct cJSON *obj, const char *key, double *ret,
                            struct fail *fail);

/* A boolean member; "true"/"false" in any case and 0/1 are accepted. Absent, null or "" leaves
 * *ret. E_PARSE otherwise. */
MUST_USE int json_in_bool(const struct cJSON *obj, const char *key, bool *ret, struct fail *fail);

struct json_pair {
    struct span key;
    struct span value;
};

/* The members of an object of scalars as text pairs in the arena, nulls left out, in their order;
 * later duplicates win. obj may be NULL: none. E_PARSE  not an object, or a member is an object or
 * array   E_LIMIT  over max pairs */
MUST_USE int json_in_pairs(const struct cJSON *obj, size_t max, struct arena *arena,
                           struct json_pair **ret_pairs, size_t *ret_count, struct fail *fail);

#endif
