#include "config/apply.h"

#include "api/v2_codes.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "config/config_repo.h"

/* Pieces of old history that one write takes away. */
#define TRIM_PIECES_MAX 8

/* What apply is at. */
struct applying {
    struct config *c;
    const struct config_op *op;
    struct now now; /* for the view's stamps alone */
    struct config_changes *changes;
};

/* A change on its way to the tables: one block, the texts behind it. */
struct write {
    struct table_write base;
    struct config *c;
    struct item *item; /* stays while it is dirty; its key is the write's */
    struct repo_write repo;
    struct buf *content; /* a reference, or NULL */
    char texts[];
};

static int write_run(struct table_write *base, struct db *db, struct fail *fail)
{
    const struct write *w = CONTAINER_OF(base, struct write, base);
    return config_repo_write(db, &w->repo, fail);
}

static void write_done(struct table_write *take_base)
{
    struct write *w = CONTAINER_OF(take_base, struct write, base);
    ASSERT(w->item->dirty > 0);
    w->item->dirty--;
    (void)item_release(w->c, w->item);
    buf_unref(w->content);
    mem_free(w);
}

/* The texts of a write that are copied. */
#define KEPT_TEXTS 11
static void kept_texts(struct repo_write *w, struct span *list[KEPT_TEXTS])
{
    struct config_publish *p = &w->publish;
    struct span *all[KEPT_TEXTS] = {&p->gray_name, &p->gray_rule, &p->encrypted_key, &p->app_name,
                                    &p->tags,      &p->desc,      &p->use,           &p->effect,
                                    &p->schema,    &w->src_user,  &w->src_ip};
    memcpy(list, all, sizeof(all));
}

/* Put it on its way. content: NULL, or what repo's spans of the content become. */
static void write_add(const struct applying *a, struct item *i, struct repo_write repo,
                      struct buf *content)
{
    struct span *texts[KEPT_TEXTS];
    kept_texts(&repo, texts);
    size_t bytes = 0;
    for (size_t n = 0; n < KEPT_TEXTS; n++) {
        bytes += texts[n]->len;
    }
    struct write *w = mem_alloc(sizeof(*w) + bytes);
    w->base = (struct table_write){
        .bytes = sizeof(*w) + bytes + (content ? content->len : 0),
        .run = write_run,
        .done = write_done,
    };
    w->c = a->c;
    w->item = i;
    w->repo = repo;
    w->content = content ? buf_ref(content) : NULL;
    w->repo.publish.key = item_key(i);
    w->repo.publish.content = buf_span(content);
    w->repo.publish.cas_md5 = SPAN("");
    char *at = w->texts;
    kept_texts(&w->repo, texts);
    for (size_t n = 0; n < KEPT_TEXTS; n++) {
        if (texts[n]->len > 0) {
            memcpy(at, texts[n]->data, texts[n]->len);
            texts[n]->data = at;
            at += texts[n]->len;
        } else if (texts[n]->data) {
            texts[n]->data = ""; /* sent, and empty */
        }
    }
    i->dirty++;
    table_writer_add(a->c->tables, &w->base);
}

static void change_add(const struct applying *a, struct item *i, bool is_removed)
{
    struct config_changes *changes = a->changes;
    if (changes->count == changes->cap) {
        changes->cap = changes->cap ? 2 * changes->cap : 1;
        changes->list = mem_realloc(changes->list, changes->cap, sizeof(*changes->list));
    }
    changes->list[changes->count++] = (struct config_change){i, is_removed};
}

static const struct config_gray *find_gray(const struct config_value *v, struct span name)
{
    for (size_t i = 0; v && i < v->gray_count; i++) {
        if (span_eq(v->gray[i].name, name)) {
            return &v->gray[i];
        }
    }
    return NULL;
}

/* The version that an operation is about, as it is. */
struct present {
    const struct config_value *value;     /* NULL: nothing is there */
    const struct config_version *version; /* NULL: it is not there */
    uint64_t id;
};

static struct present look(const struct item *i, struct span gray_name)
{
    struct present now = {.value = i ? i->value : NULL};
    if (!now.value) {
        return now;
    }
    if (span_empty(gray_name)) {
        now.version = now.value->formal;
        now.id = i->id;
        return now;
    }
    const struct config_gray *gray = find_gray(now.value, gray_name);
    now.version = gray ? gray->version : NULL;
    now.id = gray ? gray->id : 0;
    return now;
}

static int check_publish(const struct applying *a, const struct config_publish *p,
                         const struct present *now, struct fail *fail)
{
    bool is_gray = !span_empty(p->gray_name);
    uint32_t gray_max = a->op->gray_max ? a->op->gray_max : a->c->options.gray_max;
    /* DIFF(gray-cas): Nacos on Derby lets a gray version through whatever its md5. */
    if (!span_empty(p->cas_md5) && now->version && !config_md5_is(now->version->md5, p->cas_md5)) {
        return fail_set_codes(fail, E_CONFLICT, 500, V2_RESOURCE_CONFLICT,
                              "Cas publish %sfail, server md5 may have changed.",
                              is_gray ? "gray config " : "");
    }
    if (is_gray && !now->version && now->value && now->value->gray_count >= gray_max) {
        return fail_set_codes(fail, E_LIMIT, 500, V2_GRAY_OVER_MAX,
                              "gray config version is over max count :%u", gray_max);
    }
    return 0;
}

static int64_t next_time(const struct config_op *op, const struct config_version *old)
{
    return old && old->modified_ms >= op->time_ms ? old->modified_ms + 1 : op->time_ms;
}

static void set_version(const struct applying *a, struct item *i, const struct config_publish *p,
                        uint64_t id, struct config_version *version)
{
    struct config_value *value = NULL;
    if (span_empty(p->gray_name)) {
        item_set_id(a->c, i, id);
        value = config_value_with_formal(i->value, version);
    } else {
        struct config_gray gray = {
            .version = version,
            .id = id,
            .is_beta = span_eq(p->gray_name, SPAN(CONFIG_GRAY_BETA)),
            .name = p->gray_name,
            .rule = p->gray_rule,
        };
        value = config_value_with_gray(i->value, &gray);
    }
    item_set_value(a->c, i, value, a->now);
}

/* One publish of the operation. */
static int apply_publish(const struct applying *a, const struct config_publish *p,
                         struct fail *fail)
{
    struct config *c = a->c;
    struct present old = look(item_find(c, &p->key), p->gray_name);
    int err = check_publish(a, p, &old, fail);
    if (err) {
        return err;
    }
    struct repo_write repo = {
        .id = old.version ? old.id : ++c->last_id,
        .nid = ++c->last_nid,
        .is_new = !old.version,
        .modified_ms = next_time(a->op, old.version),
        .time_ms = a->op->time_ms,
        .src_user = a->op->src_user,
        .src_ip = a->op->src_ip,
        .publish = *p,
    };
    struct buf *content = buf_create(p->content);
    struct config_version_parts parts = {
        .type = p->type,
        .length = (uint32_t)p->content.len,
        .md5 = p->md5,
        .modified_ms = repo.modified_ms,
        .content = content,
        .encrypted_key = p->encrypted_key,
    };
    struct config_version *version = config_version_create(&parts);
    struct item *i = item_obtain(c, &p->key);
    set_version(a, i, p, repo.id, version);
    config_version_unref(version);
    write_add(a, i, repo, content);
    buf_unref(content);
    change_add(a, i, false);
    return 0;
}

static void apply_remove(const struct applying *a)
{
    struct config *c = a->c;
    const struct config_op *op = a->op;
    struct item *i = item_find(c, &op->key);
    struct present old = look(i, op->gray_name);
    if (!old.version) {
        return;
    }
    struct repo_write repo = {
        .id = old.id,
        .nid = ++c->last_nid,
        .is_remove = true,
        .modified_ms = op->time_ms,
        .time_ms = op->time_ms,
        .src_user = op->src_user,
        .src_ip = op->src_ip,
        .publish = {.key = op->key, .gray_name = op->gray_name},
    };
    struct config_publish gone = {.gray_name = op->gray_name};
    set_version(a, i, &gone, 0, NULL);
    write_add(a, i, repo, NULL);
    change_add(a, i, true);
}

static enum config_outcome import_one(const struct applying *a, const struct config_publish *p)
{
    if (a->op->policy != CONFIG_OVERWRITE && look(item_find(a->c, &p->key), p->gray_name).version) {
        return a->op->policy == CONFIG_ABORT ? CONFIG_EXISTS : CONFIG_SKIPPED;
    }
    return apply_publish(a, p, NULL) == 0 ? CONFIG_DONE : CONFIG_REFUSED;
}

static void apply_import(const struct applying *a)
{
    bool is_over = false;
    for (size_t n = 0; n < a->op->publish_count; n++) {
        enum config_outcome o = is_over ? CONFIG_SKIPPED : import_one(a, &a->op->publish[n]);
        is_over = is_over || o == CONFIG_EXISTS;
        a->changes->outcomes[n] = o;
    }
}

/* Old history goes, a bounded piece of it. */
struct trim {
    struct table_write base;
    struct config *c;
    int64_t before_ms;
    bool has_more;
};

static int trim_run(struct table_write *base, struct db *db, struct fail *fail)
{
    struct trim *t = CONTAINER_OF(base, struct trim, base);
    t->has_more = true;
    int err = 0;
    for (int piece = 0; !err && t->has_more && piece < TRIM_PIECES_MAX; piece++) {
        err = config_repo_trim_history(db, t->before_ms, &t->has_more, fail);
    }
    return err;
}

static void trim_done(struct table_write *take_base)
{
    struct trim *t = CONTAINER_OF(take_base, struct trim, base);
    if (t->has_more) {
        t->c->trim_next_ms = 0; /* again in a minute */
    }
    mem_free(t);
}

static void apply_trim(const struct applying *a)
{
    struct trim *t = mem_alloc(sizeof(*t));
    *t = (struct trim){
        .base = {.bytes = sizeof(*t), .run = trim_run, .done = trim_done},
        .c = a->c,
        .before_ms = a->op->before_ms,
    };
    table_writer_add(a->c->tables, &t->base);
}

static void outcomes_begin(struct config_changes *changes, size_t count)
{
    changes->outcomes = mem_zalloc(count, sizeof(*changes->outcomes));
    changes->outcomes_count = count;
}

static int apply(const struct applying *a, struct config_changes *changes, struct fail *fail)
{
    const struct config_op *op = a->op;
    switch (op->kind) {
    case CONFIG_OP_PUBLISH: {
        outcomes_begin(changes, 1);
        int err = apply_publish(a, op->publish, fail);
        changes->outcomes[0] = err ? CONFIG_REFUSED : CONFIG_DONE;
        return err;
    }
    case CONFIG_OP_REMOVE:
        apply_remove(a);
        return 0;
    case CONFIG_OP_IMPORT:
        outcomes_begin(changes, op->publish_count);
        apply_import(a);
        return 0;
    case CONFIG_OP_TRIM_HISTORY:
        apply_trim(a);
        return 0;
    }
    ASSERT(!"a kind that decode does not let through");
    return 0;
}

int config_apply(struct config *c, uint64_t index, const struct config_op *op, struct now now,
                 struct config_changes *changes, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    struct applying a = {c, op, now, changes};
    c->index = index;
    int err = apply(&a, changes, fail);
    c->index = 0;
    return err;
}

void config_changes_close(struct config *c, struct config_changes *changes)
{
    /* An item that is changed several times keeps a version: only the last one of its list frees
     * it. */
    for (size_t n = 0; n < changes->count; n++) {
        (void)item_release(c, changes->list[n].item);
    }
    mem_free(changes->list);
    mem_free(changes->outcomes);
    *changes = (struct config_changes){0};
}
