/* The configuration centre as node/ sees it: what the tables hold is loaded, operations come back
 * from the log, turns end. */
#include "config/config.h"

#include "api/dispatch.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "config/apply.h"
#include "config/cache.h"
#include "config/config_query.h"
#include "config/config_repo.h"
#include "config/import.h"
#include "config/listen.h"
#include "config/load.h"
#include "config/poll.h"
#include "config/react.h"
#include "config/remove_ids.h"
#include "config/state.h"

#define TRIM_FIRST_MS UINT64_C(60000)
#define TRIM_EVERY_MS UINT64_C(600000)
#define DAY_MS (24LL * 60 * 60 * 1000)

struct config *config_create(const struct config_options *options, struct view *view,
                             struct table_writer *tables)
{
    struct config *c = mem_zalloc(1, sizeof(*c));
    c->options = *options;
    if (c->options.gray_max > CONFIG_GRAY_LIMIT) {
        c->options.gray_max = CONFIG_GRAY_LIMIT;
    }
    c->edge.view = view;
    c->edge.content_chars_max = options->content_chars_max;
    c->edge.gate = options->gate;
    atomic_init(&c->edge.removed_index, options->tables_index);
    c->view = view;
    c->tables = tables;
    return c;
}

static void drop_items(struct config *c)
{
    struct item *i = NULL;
    struct item *next = NULL;
    HASH_ITER(hh, c->items, i, next)
    {
        ASSERT(!i->load && i->dirty == 0);
        HASH_DELETE(hh, c->items, i);
        if (i->value) {
            view_remove(c->view, span_of(i->text, i->text_len));
            view_value_unref(config_value_base(i->value));
        }
        mem_free(i);
    }
    struct tenant_count *t = NULL;
    struct tenant_count *next_count = NULL;
    HASH_ITER(hh, c->counts, t, next_count)
    {
        HASH_DELETE(hh, c->counts, t);
        mem_free(t);
    }
}

void config_destroy(struct config *c)
{
    if (!c) {
        return;
    }
    while (c->conns) {
        listen_conn_close(c, c->conns);
    }
    drop_items(c);
    deadlines_close(&c->notices);
    deadlines_close(&c->poll_ends);
    mem_free(c);
}

struct config_edge *config_edge(struct config *c)
{
    return &c->edge;
}

/* -------------------------------------------------------------------- loading */

struct loading {
    struct config *c;
    struct now now;
    bool is_over; /* the budget did not last for all contents */
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool md5_of(struct span text, uint8_t md5[CONFIG_MD5_BYTES])
{
    if (text.len != CONFIG_MD5_TEXT) {
        return false;
    }
    for (size_t i = 0; i < CONFIG_MD5_BYTES; i++) {
        int high = hex_digit(text.data[2 * i]);
        int low = hex_digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        md5[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int check_row(const struct config *c, const struct repo_version *v, struct fail *fail)
{
    struct fail why = {0};
    if (config_key_check(&v->key, false, &why) != 0) {
        return fail_set(fail, E_CORRUPT, "table of configs, row %llu: %s",
                        (unsigned long long)v->id, fail_text(&why));
    }
    if (v->length > CONFIG_CONTENT_BYTES_MAX || v->id == 0 || v->id > c->last_id) {
        return fail_set(fail, E_CORRUPT,
                        "table of configs, row %llu: a content of %llu bytes, and ids end at %llu",
                        (unsigned long long)v->id, (unsigned long long)v->length,
                        (unsigned long long)c->last_id);
    }
    return 0;
}

/* A reference to the content as it was read, if it fits its md5. Another one stays cold, and who
 * reads it is told (load.c): one damaged content keeps no node from starting. */
static struct buf *load_bytes(const struct repo_version *v, const uint8_t md5[CONFIG_MD5_BYTES])
{
    uint8_t actual[CONFIG_MD5_BYTES];
    if (!v->content.data || v->content.len != v->length) {
        return NULL;
    }
    config_md5(v->content, actual);
    return memcmp(actual, md5, sizeof(actual)) == 0 ? buf_create(v->content) : NULL;
}

static void set_version(struct loading *l, const struct repo_version *v, struct item *i,
                        struct config_version *version)
{
    struct config_value *value = NULL;
    if (span_empty(v->gray_name)) {
        item_set_id(l->c, i, v->id);
        value = config_value_with_formal(i->value, version);
    } else {
        struct config_gray gray = {
            .version = version,
            .id = v->id,
            .is_beta = span_eq(v->gray_name, SPAN(CONFIG_GRAY_BETA)),
            .name = v->gray_name,
            .rule = v->gray_rule,
        };
        value = config_value_with_gray(i->value, &gray);
    }
    item_set_value(l->c, i, value, l->now);
}

static int load_version(void *arg, const struct repo_version *v, struct fail *fail)
{
    struct loading *l = arg;
    uint8_t md5[CONFIG_MD5_BYTES];
    int err = check_row(l->c, v, fail);
    struct item *i = err ? NULL : item_obtain(l->c, &v->key);
    if (!err && i->value && i->value->gray_count >= CONFIG_GRAY_LIMIT) {
        err = fail_set(fail, E_CORRUPT, "table of configs, row %llu: more than %d gray versions",
                       (unsigned long long)v->id, CONFIG_GRAY_LIMIT);
    }
    if (!err && !md5_of(v->md5, md5)) {
        err = fail_set(fail, E_CORRUPT, "table of configs, row %llu: \"%.*s\" is no md5",
                       (unsigned long long)v->id, SPAN_ARG(v->md5));
    }
    if (err) {
        return err;
    }
    l->is_over = l->is_over || (span_empty(v->gray_name) && !v->content.data);
    struct buf *content = load_bytes(v, md5);
    struct config_version_parts parts = {
        .type = config_type_of(v->type),
        .length = (uint32_t)v->length,
        .md5 = md5,
        .modified_ms = v->modified_ms,
        .content = content,
        .encrypted_key = v->encrypted_key,
    };
    struct config_version *version = config_version_create(&parts);
    set_version(l, v, i, version);
    config_version_unref(version);
    buf_unref(content);
    return 0;
}

static int load_content(void *arg, const struct repo_version *v, struct fail *fail)
{
    const struct loading *l = arg;
    struct config *c = l->c;
    (void)fail;
    if (c->content_bytes + v->content.len > c->options.memory_bytes_max) {
        return 1;
    }
    struct item *i = item_find(c, &v->key);
    struct config_version *cold = i && i->value ? i->value->formal : NULL;
    struct buf *content = cold && !cold->content ? load_bytes(v, cold->md5) : NULL;
    if (!content) {
        return 0;
    }
    struct config_version *hot = config_version_with(cold, content);
    buf_unref(content);
    item_set_value(c, i, config_value_with_formal(i->value, hot), l->now);
    config_version_unref(hot);
    if (i->cache_next) {
        c->cache_hand = i; /* the newest comes first: so the hand meets it last */
    }
    return 0;
}

/* One walk when all contents fit. Else they are taken by age, in a second one. */
int config_load_tables(struct config *c, struct db *db, struct now now, struct fail *fail)
{
    ASSERT(!c->items);
    struct loading l = {c, now, false};
    int err = config_repo_last_ids(db, &c->last_id, &c->last_nid, fail);
    c->index = c->options.tables_index;
    err =
        err ? err : config_repo_each_with(db, c->options.memory_bytes_max, load_version, &l, fail);
    c->index = 0;
    if (err || !l.is_over) {
        return err;
    }
    cache_clear(c, now);
    return config_repo_each_content(db, load_content, &l, fail);
}

/* -------------------------------------------------------------------- the log */

static void commit(struct config *c, uint64_t index, const struct config_op *op,
                   struct api_call *waiting, struct now now, struct outbox *out)
{
    struct config_changes changes = {0};
    struct fail fail = {0};
    int err = config_apply(c, index, op, now, &changes, &fail);
    struct config_applied applied = {op, &changes, err, &fail, waiting};
    config_react(c, &applied, now, out);
    config_changes_close(c, &changes);
}

static void refuse_damaged(struct config *c, struct api_call *waiting, const struct fail *why,
                           struct outbox *out)
{
    atomic_fetch_add_explicit(&c->counters.bad_ops, 1, memory_order_relaxed);
    if (!waiting) {
        return;
    }
    struct fail fail = {0};
    fail_set(&fail, E_INTERNAL, "the operation came back damaged from the log: %s", fail_text(why));
    config_rejected(c, waiting, &fail, out);
}

void config_commit(struct config *c, uint64_t index, struct span bytes, struct api_call *waiting,
                   struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct arena arena;
    arena_init(&arena, CONFIG_OP_ARENA_MAX);
    struct config_op op = {0};
    struct fail fail = {0};
    if (config_op_decode(bytes, &arena, &op, &fail) == 0) {
        commit(c, index, &op, waiting, now, out);
    } else {
        refuse_damaged(c, waiting, &fail, out);
    }
    arena_close(&arena);
}

void config_rejected(struct config *c, struct api_call *take_call, const struct fail *why,
                     struct outbox *out)
{
    if (!import_on_rejected(c, take_call, why, out)) {
        dispatch_fail(take_call, why, out);
    }
}

/* -------------------------------------------------------------------- turns */

/* Every node proposes it: the same time twice does nothing the second time. */
static void trim_turn(struct config *c, struct now now, struct outbox *out)
{
    if (c->options.history_days == 0) {
        return;
    }
    if (c->trim_next_ms == 0) {
        c->trim_next_ms = now.mono_ms + TRIM_FIRST_MS;
    }
    if (now.mono_ms < c->trim_next_ms) {
        return;
    }
    c->trim_next_ms = now.mono_ms + TRIM_EVERY_MS;
    if (table_writer_trouble(c->tables, NULL) != 0) {
        return;
    }
    struct config_op op = {
        .kind = CONFIG_OP_TRIM_HISTORY,
        .time_ms = now.wall_ms,
        .before_ms = now.wall_ms - (int64_t)c->options.history_days * DAY_MS,
    };
    outbox_propose(out, CONSENSUS_CONFIG, config_op_encode(&op), NULL);
}

void config_turn(struct config *c, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    load_turn(c, now, out);
    import_turn(c, now, out);
    remove_ids_turn(c, now, out);
    listen_turn(c, now, out);
    poll_turn(c, now, out);
    trim_turn(c, now, out);
    c->cache_more = cache_trim(c, now);
}

uint64_t config_deadline(const struct config *c)
{
    if (c->cache_more || c->loads_ended || c->clones_ended || c->removals_ended) {
        return 0;
    }
    uint64_t at = clock_earlier(listen_deadline(c), poll_deadline(c));
    return c->options.history_days > 0 ? clock_earlier(at, c->trim_next_ms) : at;
}

void config_stop(struct config *c, struct now now, struct outbox *out)
{
    (void)now;
    load_stop(c, out);
    import_stop(c, out);
    remove_ids_stop(c, out);
    config_query_stop(c, out);
    poll_stop(c, out);
}

const struct config_counters *config_counters(const struct config *c)
{
    return &c->counters;
}

struct config_stats config_stats(const struct config *c)
{
    return (struct config_stats){
        .configs = c->formal_count,
        .gray = c->gray_count,
        .listens = c->listen_count,
        .polls = c->poll_count,
        .content_bytes = c->content_bytes,
    };
}
