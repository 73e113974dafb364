#include "config/config_op.h"

#include "base/assert.h"
#include "base/mem.h"
#include "config_op.pb-c.h"
#include "consensus/consensus.h"

#define GRAY_NAME_BYTES_MAX 128

static ProtobufCBinaryData pack_span(struct span s)
{
    /* protobuf-c only reads it. */
    union {
        const char *from;
        uint8_t *to;
    } cast = {.from = s.data};
    return (ProtobufCBinaryData){.len = s.len, .data = cast.to};
}

static struct span unpack_span(ProtobufCBinaryData d)
{
    return span_of(d.len ? (const char *)d.data : "", d.len);
}

/* A publish as protobuf-c wants it; the texts' order is that of text_of. */
#define TEXTS 6
struct packed_publish {
    Nacre__ConfigPublish m;
    Nacre__ConfigKey key;
    Nacre__ConfigText texts[TEXTS];
};

static Nacre__ConfigKey pack_key(const struct config_key *k)
{
    Nacre__ConfigKey m = NACRE__CONFIG_KEY__INIT;
    m.tenant = pack_span(k->tenant);
    m.group = pack_span(k->group);
    m.data_id = pack_span(k->data_id);
    return m;
}

/* NULL: not sent. */
static Nacre__ConfigText *pack_text(struct span s, Nacre__ConfigText *m)
{
    if (!s.data) {
        return NULL;
    }
    nacre__config_text__init(m);
    m->text = pack_span(s);
    return m;
}

/* What to points to borrows from p, and from to itself. */
static void pack_publish(const struct config_publish *p, struct packed_publish *to)
{
    to->key = pack_key(&p->key);
    nacre__config_publish__init(&to->m);
    to->m.key = &to->key;
    to->m.gray_name = pack_span(p->gray_name);
    to->m.gray_rule = pack_span(p->gray_rule);
    to->m.content = pack_span(p->content);
    to->m.md5 = pack_span(span_of((const char *)p->md5, CONFIG_MD5_BYTES));
    to->m.type = pack_span(config_type_text(p->type));
    to->m.encrypted_key = pack_span(p->encrypted_key);
    to->m.cas_md5 = pack_span(p->cas_md5);
    to->m.app_name = pack_text(p->app_name, &to->texts[0]);
    to->m.tags = pack_text(p->tags, &to->texts[1]);
    to->m.desc = pack_text(p->desc, &to->texts[2]);
    to->m.use = pack_text(p->use, &to->texts[3]);
    to->m.effect = pack_text(p->effect, &to->texts[4]);
    to->m.schema = pack_text(p->schema, &to->texts[5]);
}

static struct buf *pack(const Nacre__ConfigOp *m)
{
    size_t len = nacre__config_op__get_packed_size(m);
    char *bytes = mem_alloc(len);
    nacre__config_op__pack(m, (uint8_t *)bytes);
    return buf_take(bytes, len);
}

/* m is the envelope; a copy, because what it points to lives no longer than the call. */
static struct buf *encode_publish(const struct config_op *op, Nacre__ConfigOp m)
{
    ASSERT(op->publish_count == 1);
    struct packed_publish p;
    pack_publish(op->publish, &p);
    m.op_case = NACRE__CONFIG_OP__OP_PUBLISH;
    m.publish = &p.m;
    return pack(&m);
}

static struct buf *encode_import(const struct config_op *op, Nacre__ConfigOp m)
{
    size_t count = op->publish_count;
    struct packed_publish *items = mem_zalloc(count + 1, sizeof(*items));
    Nacre__ConfigPublish **list = mem_zalloc(count + 1, sizeof(Nacre__ConfigPublish *));
    for (size_t i = 0; i < count; i++) {
        pack_publish(&op->publish[i], &items[i]);
        list[i] = &items[i].m;
    }
    Nacre__ConfigImport import = NACRE__CONFIG_IMPORT__INIT;
    import.policy = op->policy;
    import.n_publish = count;
    import.publish = list;
    m.op_case = NACRE__CONFIG_OP__OP_IMPORT;
    m.import = &import;
    struct buf *packed = pack(&m);
    mem_free(list);
    mem_free(items);
    return packed;
}

static struct buf *encode_remove(const struct config_op *op, Nacre__ConfigOp m)
{
    Nacre__ConfigKey key = pack_key(&op->key);
    Nacre__ConfigRemove r = NACRE__CONFIG_REMOVE__INIT;
    r.key = &key;
    r.gray_name = pack_span(op->gray_name);
    m.op_case = NACRE__CONFIG_OP__OP_REMOVE;
    m.remove = &r;
    return pack(&m);
}

static struct buf *encode_trim(const struct config_op *op, Nacre__ConfigOp m)
{
    Nacre__ConfigTrimHistory t = NACRE__CONFIG_TRIM_HISTORY__INIT;
    t.before_ms = op->before_ms;
    m.op_case = NACRE__CONFIG_OP__OP_TRIM_HISTORY;
    m.trim_history = &t;
    return pack(&m);
}

struct buf *config_op_encode(const struct config_op *op)
{
    Nacre__ConfigOp m = NACRE__CONFIG_OP__INIT;
    m.version = CONFIG_OP_VERSION;
    m.time_ms = op->time_ms;
    m.gray_max = op->gray_max;
    m.src_user = pack_span(op->src_user);
    m.src_ip = pack_span(op->src_ip);
    switch (op->kind) {
    case CONFIG_OP_PUBLISH:
        return encode_publish(op, m);
    case CONFIG_OP_REMOVE:
        return encode_remove(op, m);
    case CONFIG_OP_IMPORT:
        return encode_import(op, m);
    case CONFIG_OP_TRIM_HISTORY:
        return encode_trim(op, m);
    }
    ASSERT(!"a kind outside the enum");
    return NULL;
}

static int check_text(struct span s, const char *what, struct fail *fail)
{
    if (s.len > CONFIG_TEXT_BYTES_MAX) {
        return fail_set(fail, E_INVALID, "%s: at most %u bytes, got %zu", what,
                        CONFIG_TEXT_BYTES_MAX, s.len);
    }
    return 0;
}

static int check_texts(const struct config_publish *p, struct fail *fail)
{
    const struct {
        const char *what;
        struct span text;
    } texts[] = {
        {"gray rule", p->gray_rule},
        {"encryptedDataKey", p->encrypted_key},
        {"casMd5", p->cas_md5},
        {"appName", p->app_name},
        {"config_tags", p->tags},
        {"desc", p->desc},
        {"use", p->use},
        {"effect", p->effect},
        {"schema", p->schema},
    };
    int err = 0;
    for (size_t i = 0; !err && i < ARRAY_LEN(texts); i++) {
        err = check_text(texts[i].text, texts[i].what, fail);
    }
    return err;
}

static int check_key(const struct config_key *k, struct fail *fail)
{
    if (!span_eq(config_tenant(k->tenant), k->tenant)) {
        return fail_set(fail, E_INVALID, "tenant: expected \"\" for the default namespace");
    }
    return config_key_check(k, false, fail);
}

static int check_gray_name(struct span name, struct fail *fail)
{
    if (name.len > GRAY_NAME_BYTES_MAX || memchr(name.data ? name.data : "", '\0', name.len)) {
        return fail_set(fail, E_INVALID, "gray name: at most %d bytes without NUL, got %zu",
                        GRAY_NAME_BYTES_MAX, name.len);
    }
    return 0;
}

static int check_publish(const struct config_publish *p, struct fail *fail)
{
    int err = check_key(&p->key, fail);
    err = err ? err : check_gray_name(p->gray_name, fail);
    if (err) {
        return err;
    }
    if (span_empty(p->gray_name) != span_empty(p->gray_rule)) {
        return fail_set(fail, E_INVALID, "gray version: name and rule belong together");
    }
    if (p->content.len > CONFIG_CONTENT_BYTES_MAX) {
        return fail_set(fail, E_INVALID, "content: at most %u bytes, got %zu",
                        CONFIG_CONTENT_BYTES_MAX, p->content.len);
    }
    return check_texts(p, fail);
}

static int check_list(const struct config_op *op, struct fail *fail)
{
    if (op->publish_count == 0 || op->publish_count > CONFIG_IMPORT_MAX) {
        return fail_set(fail, E_INVALID, "import: expected 1 to %d configs, got %zu",
                        CONFIG_IMPORT_MAX, op->publish_count);
    }
    if (op->policy < CONFIG_OVERWRITE || op->policy > CONFIG_SKIP) {
        return fail_set(fail, E_INVALID, "import: policy %d is unknown", (int)op->policy);
    }
    int err = 0;
    for (size_t i = 0; !err && i < op->publish_count; i++) {
        err = check_publish(&op->publish[i], fail);
    }
    return err;
}

int config_op_check(const struct config_op *op, struct fail *fail)
{
    if (op->time_ms <= 0) {
        return fail_set(fail, E_INVALID, "time: expected milliseconds since 1970, got %lld",
                        (long long)op->time_ms);
    }
    if (op->gray_max > CONFIG_GRAY_LIMIT) {
        return fail_set(fail, E_INVALID, "gray versions: at most %d, got %u", CONFIG_GRAY_LIMIT,
                        op->gray_max);
    }
    int err = check_text(op->src_user, "user", fail);
    err = err ? err : check_text(op->src_ip, "address", fail);
    if (err) {
        return err;
    }
    switch (op->kind) {
    case CONFIG_OP_PUBLISH:
        ASSERT(op->publish != NULL);
        return check_publish(op->publish, fail);
    case CONFIG_OP_REMOVE:
        err = check_key(&op->key, fail);
        return err ? err : check_gray_name(op->gray_name, fail);
    case CONFIG_OP_IMPORT:
        return check_list(op, fail);
    case CONFIG_OP_TRIM_HISTORY:
        return 0;
    }
    return fail_set(fail, E_INVALID, "operation: kind %d is unknown", (int)op->kind);
}

/* protobuf-c's allocator on an arena: what does not fit fails the unpacking. */
static void *arena_take(void *arena, size_t size)
{
    return arena_try(arena, size);
}

static void arena_keep(void *arena, void *ptr)
{
    (void)arena;
    (void)ptr;
}

static int damaged(struct fail *fail, const char *what)
{
    return fail_set(fail, E_PARSE, "operation of the log: %s", what);
}

static struct config_key unpack_key(const Nacre__ConfigKey *m)
{
    return (struct config_key){
        .tenant = unpack_span(m->tenant),
        .group = unpack_span(m->group),
        .data_id = unpack_span(m->data_id),
    };
}

/* "" says nothing: the history shows null. */
static struct span unpack_known(ProtobufCBinaryData d)
{
    return d.len ? unpack_span(d) : (struct span){0};
}

/* data NULL: not sent. */
static struct span unpack_text(const Nacre__ConfigText *m)
{
    return m ? unpack_span(m->text) : (struct span){0};
}

static int decode_publish(const Nacre__ConfigPublish *m, struct config_publish *ret,
                          struct fail *fail)
{
    if (!m->key) {
        return damaged(fail, "a publish without a key");
    }
    if (m->md5.len != CONFIG_MD5_BYTES) {
        return damaged(fail, "a md5 of another length");
    }
    *ret = (struct config_publish){
        .key = unpack_key(m->key),
        .gray_name = unpack_span(m->gray_name),
        .gray_rule = unpack_span(m->gray_rule),
        .content = unpack_span(m->content),
        .type = config_type_of(unpack_span(m->type)),
        .encrypted_key = unpack_span(m->encrypted_key),
        .cas_md5 = unpack_span(m->cas_md5),
        .app_name = unpack_text(m->app_name),
        .tags = unpack_text(m->tags),
        .desc = unpack_text(m->desc),
        .use = unpack_text(m->use),
        .effect = unpack_text(m->effect),
        .schema = unpack_text(m->schema),
    };
    memcpy(ret->md5, m->md5.data, CONFIG_MD5_BYTES);
    return 0;
}

static int decode_list(Nacre__ConfigPublish *const *list, size_t count, struct arena *arena,
                       struct config_op *ret, struct fail *fail)
{
    if (count > CONFIG_IMPORT_MAX) {
        return damaged(fail, "an import of too many configs");
    }
    struct config_publish *items = arena_try(arena, (count + 1) * sizeof(*items));
    if (!items) {
        return damaged(fail, "larger than any operation");
    }
    int err = 0;
    for (size_t i = 0; !err && i < count; i++) {
        err = decode_publish(list[i], &items[i], fail);
    }
    ret->publish = items;
    ret->publish_count = count;
    return err;
}

static int decode_kind(const Nacre__ConfigOp *m, struct arena *arena, struct config_op *ret,
                       struct fail *fail)
{
    ret->kind = (enum config_op_kind)m->op_case;
    switch (m->op_case) {
    case NACRE__CONFIG_OP__OP_PUBLISH:
        return decode_list(&m->publish, 1, arena, ret, fail);
    case NACRE__CONFIG_OP__OP_REMOVE:
        if (!m->remove->key) {
            return damaged(fail, "a removal without a key");
        }
        ret->key = unpack_key(m->remove->key);
        ret->gray_name = unpack_span(m->remove->gray_name);
        return 0;
    case NACRE__CONFIG_OP__OP_IMPORT:
        ret->policy = (enum config_policy)m->import->policy;
        return decode_list(m->import->publish, m->import->n_publish, arena, ret, fail);
    case NACRE__CONFIG_OP__OP_TRIM_HISTORY:
        ret->before_ms = m->trim_history->before_ms;
        return 0;
    default:
        return damaged(fail, "a kind that this version does not know");
    }
}

int config_op_decode(struct span bytes, struct arena *arena, struct config_op *ret,
                     struct fail *fail)
{
    ProtobufCAllocator allocator = {arena_take, arena_keep, arena};
    const Nacre__ConfigOp *m =
        bytes.len > CONSENSUS_OP_BYTES_MAX
            ? NULL
            : nacre__config_op__unpack(&allocator, bytes.len, (const uint8_t *)bytes.data);
    if (!m) {
        return damaged(fail, "damaged");
    }
    if (m->version != CONFIG_OP_VERSION) {
        return fail_set(fail, E_PARSE, "operation of the log: version %u, this node knows %d",
                        m->version, CONFIG_OP_VERSION);
    }
    struct config_op op = {
        .time_ms = m->time_ms,
        .gray_max = m->gray_max,
        .src_user = unpack_known(m->src_user),
        .src_ip = unpack_known(m->src_ip),
    };
    int err = decode_kind(m, arena, &op, fail);
    if (err) {
        return err;
    }
    struct fail why = {0};
    if (config_op_check(&op, &why) != 0) {
        return fail_set(fail, E_PARSE, "operation of the log: %s", fail_text(&why));
    }
    *ret = op;
    return 0;
}
