#include "namespace/namespace.h"

#include "api/dispatch.h"
#include "api/v2_codes.h"
#include "base/assert.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/thread.h"
#include "namespace/namespace_http.h"
#include "namespace/namespace_op.h"
#include "namespace/namespace_repo.h"

struct namespaces {
    struct namespace_options options;
    struct table_writer *tables;
    struct namespace_counters counters;
    struct namespace_info *list; /* by id; each owns its texts (owned_by) */
    size_t count;
    size_t cap;
    uint64_t digest; /* the sum of the pieces of list */
};

/* Stands in the digest of all nodes. */
#define PIECE_NAMESPACE 201

struct namespaces *namespace_create(const struct namespace_options *options,
                                    struct table_writer *tables)
{
    struct namespaces *n = mem_zalloc(1, sizeof *n);
    n->options = *options;
    n->tables = tables;
    return n;
}

/* The texts of one are one block, which begins with the id. */
static void texts_free(struct namespace_info *info)
{
    union {
        const char *from;
        char *to;
    } block = {.from = info->id.data};
    mem_free(block.to);
}

static struct span put(char **at, struct span s)
{
    char *to = *at;
    if (s.len > 0) {
        memcpy(to, s.data, s.len);
    }
    *at += s.len;
    return span_of(to, s.len);
}

static struct namespace_info texts_copy(const struct namespace_info *info)
{
    char *at = mem_alloc(info->id.len + info->name.len + info->desc.len + 1);
    struct namespace_info copy = *info;
    copy.id = put(&at, info->id);
    copy.name = put(&at, info->name);
    copy.desc = info->desc.data ? put(&at, info->desc) : (struct span){0};
    return copy;
}

void namespace_destroy(struct namespaces *n)
{
    if (!n) {
        return;
    }
    for (size_t i = 0; i < n->count; i++) {
        texts_free(&n->list[i]);
    }
    mem_free(n->list);
    mem_free(n);
}

/* Where id is, or would be. */
static size_t place_of(const struct namespaces *n, struct span id)
{
    size_t low = 0;
    size_t high = n->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (span_cmp(n->list[mid].id, id) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static struct namespace_info *find(const struct namespaces *n, struct span id)
{
    size_t at = place_of(n, id);
    return at < n->count && span_eq(n->list[at].id, id) ? &n->list[at] : NULL;
}

/* A description that is empty differs from none: the tables keep that, too. */
static uint64_t piece(const struct namespace_info *info)
{
    uint64_t d = digest_bytes(digest_bytes(PIECE_NAMESPACE, info->id), info->name);
    d = digest_bytes(digest_number(d, info->desc.data != NULL), info->desc);
    return digest_number(digest_number(d, (uint64_t)info->created_ms), (uint64_t)info->modified_ms);
}

static void insert(struct namespaces *n, const struct namespace_info *info)
{
    if (n->count == n->cap) {
        n->cap = n->cap ? 2 * n->cap : 16;
        n->list = mem_realloc(n->list, n->cap, sizeof *n->list);
    }
    size_t at = place_of(n, info->id);
    memmove(&n->list[at + 1], &n->list[at], (n->count - at) * sizeof *n->list);
    n->list[at] = texts_copy(info);
    n->digest += piece(&n->list[at]);
    n->count++;
}

static void load_row(void *arg, const struct namespace_info *info)
{
    insert(arg, info);
}

int namespace_load_tables(struct namespaces *n, struct db *db, struct fail *fail)
{
    return namespace_repo_load(db, load_row, n, fail);
}

static int apply_create(struct namespaces *n, const struct namespace_op *op, struct fail *fail)
{
    if (namespace_exists(n, op->id)) {
        /* Nacos says 22002 when two create it at once; here this is the way that every create of an
         * existing one goes, with the usual words. */
        return fail_set_codes(fail, E_CONFLICT, 400, V2_ILLEGAL_NAMESPACE,
                              "the namespaceId is existed, namespaceId: %.*s", SPAN_ARG(op->id));
    }
    if (n->count >= NAMESPACES_MAX) {
        return fail_set(fail, E_LIMIT, "there are %d namespaces already, as many as may be",
                        NAMESPACES_MAX);
    }
    struct namespace_info info = {.id = op->id,
                                  .name = op->name,
                                  .desc = op->desc,
                                  .created_ms = op->time_ms,
                                  .modified_ms = op->time_ms};
    insert(n, &info);
    namespace_repo_put(n->tables, &info, true);
    return 0;
}

/* One that is not there is no error (http-api.md 8.1). */
static void apply_update(struct namespaces *n, const struct namespace_op *op)
{
    struct namespace_info *old = find(n, op->id);
    if (!old) {
        return;
    }
    struct namespace_info info = {.id = op->id,
                                  .name = op->name,
                                  .desc = op->desc,
                                  .created_ms = old->created_ms,
                                  .modified_ms = op->time_ms};
    struct namespace_info copy = texts_copy(&info);
    n->digest += piece(&copy) - piece(old);
    texts_free(old);
    *old = copy;
    namespace_repo_put(n->tables, &info, false);
}

static void apply_remove(struct namespaces *n, const struct namespace_op *op)
{
    struct namespace_info *old = find(n, op->id);
    if (!old) {
        return;
    }
    n->digest -= piece(old);
    texts_free(old);
    size_t at = (size_t)(old - n->list);
    memmove(old, old + 1, (n->count - at - 1) * sizeof *old);
    n->count--;
    namespace_repo_remove(n->tables, op->id);
}

static int apply(struct namespaces *n, const struct namespace_op *op, struct outbox *out,
                 struct fail *fail)
{
    if (op->kind == NAMESPACE_OP_REMOVE) {
        if (find(n, op->id)) {
            /* Nacos keeps what is in it, and so do we: at least somebody can read that it is so. */
            outbox_trace(out, "namespace", "event=removed id=%.*s configs_left=%zu",
                         SPAN_ARG(op->id), namespace_configs(n, op->id));
        }
        apply_remove(n, op);
        return 0;
    }
    if (!op->create) {
        apply_update(n, op);
        return 0;
    }
    return apply_create(n, op, fail);
}

void namespace_commit(struct namespaces *n, uint64_t index, struct span bytes,
                      struct api_call *waiting, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    (void)index;
    (void)now;
    struct arena arena;
    arena_init(&arena, NAMESPACE_OP_ARENA_MAX);
    struct namespace_op op = {0};
    struct fail fail = {0};
    int err = namespace_op_decode(bytes, &arena, &op, &fail);
    if (err) {
        atomic_fetch_add_explicit(&n->counters.bad_ops, 1, memory_order_relaxed);
        struct fail why = fail;
        err = fail_set(&fail, E_INTERNAL, "the operation came back damaged from the log: %s",
                       fail_text(&why));
    } else {
        err = apply(n, &op, out, &fail);
    }
    arena_close(&arena);
    if (waiting) {
        namespace_http_answer(waiting, err, &fail, out);
    }
}

bool namespace_is_default(struct span id)
{
    id = span_trim(id);
    return span_empty(id) || span_ieq(id, SPAN("public")) || span_ieq(id, SPAN("null"));
}

bool namespace_exists(const struct namespaces *n, struct span id)
{
    return namespace_is_default(id) || find(n, id);
}

const struct namespace_info *namespace_find(const struct namespaces *n, struct span id)
{
    return find(n, id);
}

size_t namespace_count(const struct namespaces *n)
{
    return n->count;
}

const struct namespace_info *namespace_at(const struct namespaces *n, size_t at)
{
    ASSERT(at < n->count);
    return &n->list[at];
}

uint64_t namespace_digest(const struct namespaces *n)
{
    return n->digest;
}

size_t namespace_configs(const struct namespaces *n, struct span id)
{
    return n->options.count_configs(n->options.self, id);
}

bool namespace_is_behind(const struct namespaces *n, struct api_call *call, struct now now)
{
    return n->options.gate && read_gate_holds(n->options.gate, call, 0, now);
}

int namespace_trouble(const struct namespaces *n, struct fail *fail)
{
    return table_writer_trouble(n->tables, fail);
}

const struct namespace_counters *namespace_counters(const struct namespaces *n)
{
    return &n->counters;
}
