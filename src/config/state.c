/* Items, and what is counted over them. */
#include "config/state.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "config/cache.h"
#include "config/config_digest.h"

static struct item *find_text(const struct config *c, struct span text)
{
    struct item *i = NULL;
    HASH_FIND(hh, c->items, text.data, text.len, i);
    return i;
}

static bool fits(const struct config_key *k)
{
    return k->tenant.len <= CONFIG_TENANT_MAX && k->group.len <= CONFIG_GROUP_MAX &&
           k->data_id.len <= CONFIG_DATA_ID_MAX;
}

static bool has_key(const struct item *i, const struct config_key *k)
{
    struct config_key own = item_key(i);
    return config_key_eq(&own, k);
}

struct item *item_find(struct config *c, const struct config_key *k)
{
    if (!fits(k)) {
        return NULL;
    }
    char text[VIEW_KEY_MAX];
    struct item *i = find_text(c, config_key_view(k, text));
    /* A key that nobody checked may hold the separator. */
    return i && has_key(i, k) ? i : NULL;
}

struct item *item_obtain(struct config *c, const struct config_key *k)
{
    ASSERT(fits(k));
    char buffer[VIEW_KEY_MAX];
    struct span text = config_key_view(k, buffer);
    struct item *i = find_text(c, text);
    if (i) {
        ASSERT(has_key(i, k));
        return i;
    }
    i = mem_alloc(offsetof(struct item, text) + text.len);
    memset(i, 0, offsetof(struct item, text));
    i->text_len = (uint16_t)text.len;
    i->tenant_len = (uint8_t)k->tenant.len;
    i->group_len = (uint8_t)k->group.len;
    memcpy(i->text, text.data, text.len);
    HASH_ADD_KEYPTR(hh, c->items, i->text, i->text_len, i);
    return i;
}

bool item_release(struct config *c, struct item *i)
{
    if (i->value || i->listeners || i->polls || i->load || i->dirty > 0) {
        return false;
    }
    HASH_DELETE(hh, c->items, i);
    mem_free(i);
    return true;
}

static struct tenant_count *count_find(const struct config *c, struct span tenant)
{
    struct tenant_count *t = NULL;
    const char *bytes = tenant.len > 0 ? tenant.data : "";
    HASH_FIND(hh, c->counts, bytes, tenant.len, t);
    return t;
}

static void count_up(struct config *c, struct span tenant)
{
    struct tenant_count *t = count_find(c, tenant);
    if (!t) {
        t = mem_alloc(sizeof(*t) + tenant.len);
        *t = (struct tenant_count){.len = tenant.len};
        memcpy(t->tenant, tenant.data, tenant.len);
        HASH_ADD_KEYPTR(hh, c->counts, t->tenant, t->len, t);
    }
    t->count++;
    c->formal_count++;
}

static void count_down(struct config *c, struct span tenant)
{
    struct tenant_count *t = count_find(c, tenant);
    ASSERT(t != NULL);
    c->formal_count--;
    if (--t->count == 0) {
        HASH_DELETE(hh, c->counts, t);
        mem_free(t);
    }
}

size_t config_count_of(const struct config *c, struct span tenant)
{
    const struct tenant_count *t = count_find(c, tenant);
    return t ? t->count : 0;
}

static uint64_t version_bytes(const struct config_version *v)
{
    return v && v->content ? v->content->len : 0;
}

static uint64_t value_bytes(const struct config_value *v)
{
    uint64_t bytes = v ? version_bytes(v->formal) : 0;
    for (size_t i = 0; v && i < v->gray_count; i++) {
        bytes += version_bytes(v->gray[i].version);
    }
    return bytes;
}

static void follow_counts(struct config *c, struct item *i, const struct config_value *now)
{
    bool had = i->value && i->value->formal;
    bool has = now && now->formal;
    if (has && !had) {
        count_up(c, item_key(i).tenant);
    }
    if (had && !has) {
        count_down(c, item_key(i).tenant);
    }
    c->gray_count += now ? now->gray_count : 0;
    c->gray_count -= i->value ? i->value->gray_count : 0;
}

static bool is_used(const struct config_value *v)
{
    return atomic_load_explicit(&v->used, memory_order_relaxed);
}

void item_set_id(struct config *c, struct item *i, uint64_t id)
{
    c->digest -= config_piece(i);
    i->id = id;
    c->digest += config_piece(i);
}

void item_set_value(struct config *c, struct item *i, struct config_value *take_value,
                    struct now now)
{
    ASSERT(!take_value || take_value->formal || take_value->gray_count > 0);
    struct config_value *old = i->value;
    uint64_t bytes_before = value_bytes(old);
    follow_counts(c, i, take_value);
    if (old && take_value && is_used(old)) {
        atomic_store_explicit(&take_value->used, true, memory_order_relaxed);
    }
    c->digest -= config_piece(i);
    i->value = take_value;
    c->digest += config_piece(i);
    cache_follow(c, i, bytes_before, value_bytes(take_value));
    struct span key = span_of(i->text, i->text_len);
    if (take_value) {
        take_value->index = c->index > 0 || !old ? c->index : old->index;
        view_publish(c->view, key, now.wall_ms, view_value_ref(config_value_base(take_value)));
    } else if (old) {
        /* Before it is seen to be gone, so that who sees that sees this too. */
        atomic_store_explicit(&c->edge.removed_index, c->index, memory_order_release);
        view_remove(c->view, key);
    }
    if (old) {
        view_value_unref(config_value_base(old));
    }
}

/* What config_check adds up. */
struct sums {
    size_t formal, gray;
    size_t in_ring;
    uint64_t bytes;
};

static void check_view(const struct config *c, const struct item *i)
{
    struct view_value *v = NULL;
    int64_t stamp = 0;
    /* At time 0 no stamp is drawn. */
    enum view_take take = view_take(c->view, span_of(i->text, i->text_len), 0, &v, &stamp);
    ASSERT(take == (i->value ? VIEW_FRESH : VIEW_NONE));
    ASSERT(!v || v == &i->value->base);
    view_value_unref(v);
}

static void check_gray_order(const struct config_value *v)
{
    for (size_t g = 0; v && g < v->gray_count; g++) {
        ASSERT(v->gray[g].is_beta == span_eq(v->gray[g].name, SPAN(CONFIG_GRAY_BETA)));
        ASSERT(g == 0 || !v->gray[g].is_beta);
        ASSERT(g == 0 || v->gray[g - 1].is_beta ||
               span_cmp(v->gray[g - 1].name, v->gray[g].name) < 0);
    }
}

static void check_item(const struct config *c, const struct item *i, struct sums *sums)
{
    char text[VIEW_KEY_MAX];
    struct config_key key = item_key(i);
    ASSERT(span_eq(config_key_view(&key, text), span_of(i->text, i->text_len)));
    ASSERT(i->hh.key == i->text);
    ASSERT(i->hh.keylen == i->text_len);
    ASSERT(i->value || i->listeners || i->polls || i->load || i->dirty > 0);
    ASSERT(!i->value || i->value->formal || i->value->gray_count > 0);
    ASSERT((i->id != 0) == (i->value && i->value->formal));
    ASSERT(i->id <= c->last_id);
    check_gray_order(i->value);
    check_view(c, i);
    uint64_t bytes = value_bytes(i->value);
    ASSERT((bytes > 0) == (i->cache_next != NULL));
    ASSERT((bytes > 0) == (i->cache_prev != NULL));
    sums->bytes += bytes;
    sums->in_ring += bytes > 0;
    sums->formal += i->value && i->value->formal;
    sums->gray += i->value ? i->value->gray_count : 0;
}

static size_t check_ring(const struct config *c)
{
    size_t count = 0;
    const struct item *i = c->cache_hand;
    while (i) {
        ASSERT(i->cache_next->cache_prev == i);
        ASSERT(i->cache_prev->cache_next == i);
        count++;
        i = i->cache_next == c->cache_hand ? NULL : i->cache_next;
    }
    return count;
}

static void check_counts(const struct config *c)
{
    size_t sum = 0;
    for (const struct tenant_count *t = c->counts; t; t = t->hh.next) {
        ASSERT(t->count > 0);
        sum += t->count;
    }
    ASSERT(sum == c->formal_count);
}

void config_check(const struct config *c)
{
    struct sums sums = {0};
    for (const struct item *i = c->items; i; i = i->hh.next) {
        check_item(c, i, &sums);
    }
    ASSERT(sums.formal == c->formal_count);
    ASSERT(sums.gray == c->gray_count);
    ASSERT(sums.bytes == c->content_bytes);
    ASSERT(sums.in_ring == c->cache_count);
    ASSERT(check_ring(c) == c->cache_count);
    check_counts(c);
    ASSERT(c->digest == config_digest_count(c));
}
