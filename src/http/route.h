/* Routes: which row, of which feature, answers a method and a path.
 *
 * Thread:  built on main, read-only afterwards: any.
 * Owns:    its index. Rows and features are borrowed.
 * Source:  http-api.md 1.1 (trailing slash, HEAD).
 */
#ifndef NACRE_HTTP_ROUTE_H
#define NACRE_HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/row.h"
#include "base/span.h"

/* Methods that rows do not name. */
#define ROUTE_OTHER 0u          /* one that we do not know */
#define ROUTE_HEAD (1u << 8)    /* answered by the GET row */
#define ROUTE_OPTIONS (1u << 9) /* answered without a row */

/* What is known of a path. Plain data. */
struct route {
    const struct api_row *row;      /* NULL: no row takes this method */
    const struct api_rows *feature; /* row's */
    const struct api_row
        *other_row; /* any row of the path, for how its failures look; NULL: the path is unknown */
    unsigned methods; /* those of all rows of the path */
};

struct routes;

/* An index of all HTTP rows. Asserts that no two rows of one path take the same method. */
struct routes *routes_create(const struct api_rows *features, size_t count);

/* Free the index; NULL is fine. */
void routes_destroy(struct routes *r);

/* Find path (below the context, decoded; one trailing slash is ignored) for method: an api_method,
 * ROUTE_HEAD or another. */
struct route routes_find(const struct routes *r, unsigned method, struct span path);

/* The method's bit from its name; ROUTE_OTHER for an unknown one. */
unsigned route_method(const char *name);

/* True for path itself and everything below it: ("/v1/ns", "/v1/ns/instance"), not "/v1/nsx". */
bool route_below(struct span prefix, struct span path);

#endif
