/* The visible services of each group, for lists. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "naming/state.h"

#define GROUP_KEY_MAX (NAME_NAMESPACE_MAX * 4 + 1 + NAME_GROUP_MAX * 4)

/* A line feed stands in no checked namespace or group. */
static struct span group_key(struct span namespace_id, struct span group, char dst[GROUP_KEY_MAX])
{
    if (namespace_id.len + 1 + group.len > GROUP_KEY_MAX) {
        return (struct span){0};
    }
    const struct span parts[] = {namespace_id, SPAN("\n"), group};
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].len > 0) {
            memcpy(dst + len, parts[i].data, parts[i].len);
            len += parts[i].len;
        }
    }
    return span_of(dst, len);
}

static struct group_names *group_find(struct naming *n, struct span namespace_id, struct span group)
{
    char bytes[GROUP_KEY_MAX];
    struct span key = group_key(namespace_id, group, bytes);
    struct group_names *g = NULL;
    if (key.len > 0) {
        HASH_FIND(hh, n->groups, key.data, key.len, g);
    }
    return g;
}

static struct group_names *group_obtain(struct naming *n, const struct service_name *name)
{
    struct group_names *g = group_find(n, name->namespace_id, name->group);
    if (g) {
        return g;
    }
    char bytes[GROUP_KEY_MAX];
    struct span key = group_key(name->namespace_id, name->group, bytes);
    ASSERT(key.len > 0);
    g = mem_zalloc(1, sizeof(*g) + key.len);
    memcpy(g->key, key.data, key.len);
    g->key_len = key.len;
    g->sorted = true;
    HASH_ADD_KEYPTR(hh, n->groups, g->key, g->key_len, g);
    return g;
}

void service_enlist(struct naming *n, struct service *s)
{
    struct group_names *g = group_obtain(n, &s->name);
    if (g->count == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 8;
        g->list = mem_realloc(g->list, g->cap, sizeof(struct service *));
    }
    g->sorted = g->sorted &&
                (g->count == 0 || span_cmp(g->list[g->count - 1]->name.name, s->name.name) < 0);
    s->group = g;
    s->group_at = g->count;
    g->list[g->count++] = s;
}

/* The last one takes its place. */
void service_delist(struct naming *n, struct service *s)
{
    struct group_names *g = s->group;
    struct service *last = g->list[g->count - 1];
    ASSERT(g->list[s->group_at] == s);
    if (last != s) {
        g->list[s->group_at] = last;
        last->group_at = s->group_at;
        g->sorted = false;
    }
    g->count--;
    s->group = NULL;
    if (g->count == 0) {
        HASH_DELETE(hh, n->groups, g);
        mem_free(g->list);
        mem_free(g);
    }
}

static int by_name(const void *a, const void *b)
{
    const struct service *x = *(struct service *const *)a;
    const struct service *y = *(struct service *const *)b;
    return span_cmp(x->name.name, y->name.name);
}

struct service *const *service_group_sorted(struct naming *n, struct span namespace_id,
                                            struct span group, size_t *ret_count)
{
    struct group_names *g = group_find(n, namespace_id, group);
    *ret_count = g ? g->count : 0;
    if (!g) {
        return NULL;
    }
    if (!g->sorted) {
        qsort(g->list, g->count, sizeof(struct service *), by_name);
        for (size_t i = 0; i < g->count; i++) {
            g->list[i]->group_at = i;
        }
        g->sorted = true;
    }
    return g->list;
}

size_t service_groups_check(const struct naming *n)
{
    size_t services = 0;
    for (const struct group_names *g = n->groups; g; g = g->hh.next) {
        ASSERT(g->count > 0);
        for (size_t i = 0; i < g->count; i++) {
            ASSERT(g->list[i]->group == g);
            ASSERT(g->list[i]->group_at == i);
            ASSERT(!g->sorted || i == 0 || by_name(&g->list[i - 1], &g->list[i]) < 0);
        }
        services += g->count;
    }
    return services;
}
