/* The rows of all features in one array sorted by path; a lookup is a binary search and a walk over
 * the few rows of one path. */
#include "http/route.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/macros.h"
#include "base/mem.h"

struct entry {
    struct span path;
    const struct api_row *row;
    const struct api_rows *feature;
};

struct routes {
    struct entry *list;
    size_t count;
};

static int entry_cmp(const void *a, const void *b)
{
    const struct entry *left = a;
    const struct entry *right = b;
    return span_cmp(left->path, right->path);
}

struct routes *routes_create(const struct api_rows *features, size_t count)
{
    struct routes *r = mem_zalloc(1, sizeof(*r));
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += features[i].http_count;
    }
    r->list = mem_zalloc(total ? total : 1, sizeof(*r->list));
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < features[i].http_count; k++) {
            const struct api_row *row = &features[i].http[k];
            ASSERT(row->methods != 0);
            ASSERT(row->decode_http != NULL);
            ASSERT(row->read != NULL || row->admit != NULL);
            r->list[r->count++] = (struct entry){span_str(row->name), row, &features[i]};
        }
    }
    qsort(r->list, r->count, sizeof(*r->list), entry_cmp);
    for (size_t i = 0; i + 1 < r->count; i++) {
        for (size_t k = i + 1; k < r->count && span_eq(r->list[i].path, r->list[k].path); k++) {
            ASSERT((r->list[i].row->methods & r->list[k].row->methods) == 0);
        }
    }
    return r;
}

void routes_destroy(struct routes *r)
{
    if (!r) {
        return;
    }
    mem_free(r->list);
    mem_free(r);
}

/* The first entry whose path is not before path. */
static size_t lower_bound(const struct routes *r, struct span path)
{
    size_t low = 0;
    size_t high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (span_cmp(r->list[middle].path, path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct route routes_find(const struct routes *r, unsigned method, struct span path)
{
    if (path.len > 1 && path.data[path.len - 1] == '/') {
        path.len--;
    }
    unsigned wanted = method == ROUTE_HEAD ? API_GET : method;
    struct route found = {0};
    for (size_t i = lower_bound(r, path); i < r->count && span_eq(r->list[i].path, path); i++) {
        const struct entry *e = &r->list[i];
        found.other_row = e->row;
        found.methods |= e->row->methods;
        if (e->row->methods & wanted) {
            found.row = e->row;
            found.feature = e->feature;
        }
    }
    return found;
}

unsigned route_method(const char *name)
{
    static const struct {
        const char *name;
        unsigned method;
    } known[] = {
        {"GET", API_GET},           {"POST", API_POST},   {"PUT", API_PUT},
        {"DELETE", API_DELETE},     {"PATCH", API_PATCH}, {"HEAD", ROUTE_HEAD},
        {"OPTIONS", ROUTE_OPTIONS},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(name, known[i].name) == 0) {
            return known[i].method;
        }
    }
    return ROUTE_OTHER;
}

bool route_below(struct span prefix, struct span path)
{
    return span_starts(path, prefix) && (path.len == prefix.len || path.data[prefix.len] == '/');
}
