/* A borrowed stretch of bytes: pointer and length, not NUL-terminated, not owned.
 *
 * Thread:  a value; valid as long as what it points into.
 */
#ifndef NACRE_BASE_SPAN_H
#define NACRE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Plain data, passed by value. data may be NULL when len is 0. */
struct span {
    const char *data;
    size_t len;
};

/* For printf: printf("%.*s", SPAN_ARG(s)). */
#define SPAN_ARG(s) (int)(s).len, (s).data ? (s).data : ""
/* From a string literal. */
#define SPAN(lit) ((struct span){"" lit, sizeof(lit) - 1})

/* From a NUL-terminated string; NULL gives the empty span. */
static inline struct span span_str(const char *s)
{
    return (struct span){s, s ? strlen(s) : 0};
}

static inline struct span span_of(const char *data, size_t len)
{
    return (struct span){data, len};
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool span_empty(struct span s)
{
    return s.len == 0;
}

/* Order by bytes, shorter first on a common prefix: <0, 0, >0. */
int span_cmp(struct span a, struct span b);

/* Equal without regard to ASCII case. */
bool span_ieq(struct span a, struct span b);

/* Without ASCII white space at both ends. */
struct span span_trim(struct span s);

/* True when s begins with prefix. */
bool span_starts(struct span s, struct span prefix);

/* Cut *rest at the first sep: the part before it; *rest becomes what follows (empty at the end).
 * The last part has no sep. */
struct span span_cut(struct span *rest, char sep);

/* A decimal integer with optional sign and nothing around it. False when it is not one or does not
 * fit. */
bool span_int(struct span s, long long *ret);

/* A decimal fraction ("1", "1.5", "1e3"), nothing around it, locale-independent, finite, at most
 * 127 bytes. */
bool span_double(struct span s, double *ret);

#endif
