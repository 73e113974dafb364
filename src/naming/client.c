/* Clients: who publishes and subscribes. */
#include "base/assert.h"
#include "base/mem.h"
#include "naming/state.h"

struct client *client_find(struct naming *n, struct span id)
{
    struct client *c = NULL;
    if (id.len > 0) {
        HASH_FIND(hh, n->clients, id.data, id.len, c);
    }
    return c;
}

struct client *client_obtain(struct naming *n, struct span id, enum client_kind kind)
{
    struct client *c = client_find(n, id);
    if (c) {
        return c;
    }
    ASSERT((size_t)kind < ARRAY_LEN(n->client_counts));
    c = mem_zalloc(1, sizeof(*c));
    c->id = mem_strndup(id.data, id.len);
    c->id_len = id.len;
    c->kind = kind;
    HASH_ADD_KEYPTR(hh, n->clients, c->id, c->id_len, c);
    n->client_counts[kind]++;
    return c;
}

bool client_is_watched(const struct naming *n, const struct client *c)
{
    return n->options.self == 0 || c->owner == 0 || c->owner == n->options.self;
}

struct client *client_of_conn(struct naming *n, uint64_t conn)
{
    struct client *c = NULL;
    HASH_FIND(hh_conn, n->by_conn, &conn, sizeof(conn), c);
    return c;
}

bool client_release(struct naming *n, struct client *c)
{
    if (c->publication_count > 0 || c->subscription_count > 0 || c->conn != 0) {
        return false;
    }
    deadline_clear(&n->gones, &c->gone_due);
    HASH_DELETE(hh, n->clients, c);
    n->client_counts[c->kind]--;
    mem_free(c->id);
    mem_free(c->app);
    mem_free(c->agent);
    mem_free(c->ip);
    mem_free(c);
    return true;
}

struct publication *publication_find(const struct client *c, const struct service *s)
{
    struct publication *p = NULL;
    HASH_FIND(hh, c->publications, &s, sizeof(s), p);
    return p;
}
