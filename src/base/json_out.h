/* The one JSON writer: replies are written as they stream, never built as a tree.
 *
 * Thread:  one at a time.
 * Owns:    a growing buffer that json_take hands over.
 * Rules:   commas and colons are the writer's job; integers are plain decimal; doubles are written
 *          as Java does ("1.0", "0.5"), shortest form that reads back; strings escape ", \ and
 *          controls below 0x20, the rest is raw UTF-8, invalid UTF-8 becomes U+FFFD (grpc-sdk.md
 *          2.4). Nesting up to JSON_OUT_DEPTH_MAX (asserted: it is ours).
 */
#ifndef NACRE_BASE_JSON_OUT_H
#define NACRE_BASE_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

#define JSON_OUT_DEPTH_MAX 16

/* Embedded by its owner, usually on the stack. */
struct json_out {
    char *data;
    size_t len;
    size_t cap;
    unsigned depth;
    uint32_t comma; /* bit per depth: a comma is due before the next value */
    bool after_key;
};

/* Start with room for hint bytes (0: a default). */
void json_init(struct json_out *j, size_t hint);

/* Free what was not taken. */
void json_close(struct json_out *j);

/* The text as an immutable buffer with one reference; the writer is as after json_init. */
MUST_USE struct buf *json_take(struct json_out *j);

/* Borrow the text written so far; valid until the next write. */
struct span json_text(const struct json_out *j);

void json_object(struct json_out *j);     /* { */
void json_object_end(struct json_out *j); /* } */
void json_array(struct json_out *j);      /* [ */
void json_array_end(struct json_out *j);  /* ] */

/* A key of the current object. key: a literal of ours that needs no escaping. */
void json_key(struct json_out *j, const char *key);
/* A key that came from outside: escaped. */
void json_key_span(struct json_out *j, struct span key);

/* A string of bytes from anywhere: escaped, and made valid UTF-8. */
void json_str(struct json_out *j, struct span s);

/* As json_str, for text that is known to be valid UTF-8: several times as fast when it is long. */
void json_str_utf8(struct json_out *j, struct span s);

/* How many bytes from the beginning of valid UTF-8 go into a JSON string as they are. */
size_t json_plain(struct span s);

/* An integer in plain decimal. */
void json_int(struct json_out *j, int64_t n);

/* A finite number (asserted), with a fraction or an exponent, as Java writes it. */
void json_double(struct json_out *j, double d);

/* true or false. */
void json_bool(struct json_out *j, bool b);

/* null; for HTTP replies only, as SDK bodies carry none (grpc-sdk.md R7). */
void json_null(struct json_out *j);

/* A ready-made JSON value, copied as it is. */
void json_raw(struct json_out *j, struct span value);

/* Bytes without any comma or state logic: for heads and tails around shared bytes. */
void json_bytes(struct json_out *j, struct span bytes);

/* key and value in one call. */
void json_kstr(struct json_out *j, const char *key, struct span s);
void json_kint(struct json_out *j, const char *key, int64_t n);
void json_kdouble(struct json_out *j, const char *key, double d);
void json_kbool(struct json_out *j, const char *key, bool b);

#endif
