#include "config/admit.h"

#include "api/v2_codes.h"
#include "base/assert.h"
#include "base/thread.h"
#include "base/utf8.h"

/* Characters (semantics.md 2.2); the last three are our own: what the tables' columns hold. */
#define TAGS_MAX 5
#define TAG_CHARS_MAX 64
#define DESC_CHARS_MAX 128
#define USE_CHARS_MAX 32
#define EFFECT_CHARS_MAX 32
#define SCHEMA_CHARS_MAX 32768
#define APP_CHARS_MAX 128
#define ENCRYPTED_KEY_CHARS_MAX 1024
#define BETA_IPS_CHARS_MAX 16384
#define USER_CHARS_MAX 512
/* Bytes of an address in the history; what is longer is no address. */
#define IP_BYTES_MAX 50
/* No md5 is as long, so what is cut off changes no comparison. */
#define CAS_BYTES_MAX 64

static int refuse(struct fail *fail, int nacos, const char *text, struct span value)
{
    return fail_set_codes(fail, E_INVALID, nacos, V2_PARAMETER_VALIDATE_ERROR, "%s%.*s", text,
                          SPAN_ARG(value));
}

static bool is_longer(struct span s, size_t chars_max)
{
    return s.len > chars_max && config_chars(s) > chars_max;
}

static int check_length(struct span s, const char *what, size_t chars_max, struct fail *fail)
{
    if (is_longer(s, chars_max)) {
        return fail_set_codes(fail, E_INVALID, 500, V2_PARAMETER_VALIDATE_ERROR,
                              "too long %s, over %zu", what, chars_max);
    }
    return 0;
}

/* String.split(","): empty parts at the end do not count. */
static int check_tags(struct span tags, struct fail *fail)
{
    while (tags.len > 0 && tags.data[tags.len - 1] == ',') {
        tags.len--;
    }
    size_t count = 0;
    for (struct span rest = tags; rest.len > 0; count++) {
        (void)span_cut(&rest, ',');
    }
    if (count > TAGS_MAX) {
        return fail_set_codes(fail, E_INVALID, 500, V2_PARAMETER_VALIDATE_ERROR,
                              "too much config_tags, over %d", TAGS_MAX);
    }
    int err = 0;
    while (!err && tags.len > 0) {
        err = check_length(span_cut(&tags, ','), "tag", TAG_CHARS_MAX, fail);
    }
    return err;
}

/* Nacos's own, in its order; an overlong type is unknown and so becomes text before. */
static int check_advanced(const struct config_form *form, struct fail *fail)
{
    int err = check_tags(form->tags, fail);
    err = err ? err : check_length(form->desc, "desc", DESC_CHARS_MAX, fail);
    err = err ? err : check_length(form->use, "use", USE_CHARS_MAX, fail);
    err = err ? err : check_length(form->effect, "effect", EFFECT_CHARS_MAX, fail);
    return err ? err : check_length(form->schema, "schema", SCHEMA_CHARS_MAX, fail);
}

/* DIFF(config-text): Nacos leaves these to the database, whose refusal is a 500 without a reason
 * (or none, in Derby). */
static int check_text(struct span s, const char *what, struct fail *fail)
{
    if (s.len > 0 && memchr(s.data, '\0', s.len)) {
        return fail_set_codes(fail, E_INVALID, 0, V2_PARAMETER_VALIDATE_ERROR,
                              "invalid %s, it has a NUL character", what);
    }
    if (!utf8_valid(s.data, s.len)) {
        return fail_set_codes(fail, E_INVALID, 0, V2_PARAMETER_VALIDATE_ERROR,
                              "invalid %s, it is not UTF-8", what);
    }
    return 0;
}

static int check_storable(const struct config_form *form, struct fail *fail)
{
    if (form->content.len > CONFIG_CONTENT_BYTES_MAX) {
        return fail_set_codes(fail, E_INVALID, 0, V2_PARAMETER_VALIDATE_ERROR,
                              "invalid content, over %u bytes, got %zu", CONFIG_CONTENT_BYTES_MAX,
                              form->content.len);
    }
    int err = check_length(form->app_name, "appName", APP_CHARS_MAX, fail);
    err =
        err ? err
            : check_length(form->encrypted_key, "encryptedDataKey", ENCRYPTED_KEY_CHARS_MAX, fail);
    err = err ? err : check_length(form->beta_ips, "betaIps", BETA_IPS_CHARS_MAX, fail);
    const struct {
        struct span text;
        const char *what;
    } texts[] = {
        {form->content, "content"},  {form->app_name, "appName"},
        {form->tags, "config_tags"}, {form->desc, "desc"},
        {form->use, "use"},          {form->effect, "effect"},
        {form->schema, "schema"},    {form->encrypted_key, "encryptedDataKey"},
        {form->beta_ips, "betaIps"},
    };
    for (size_t i = 0; !err && i < ARRAY_LEN(texts); i++) {
        err = check_text(texts[i].text, texts[i].what, fail);
    }
    return err;
}

static int check_content(struct span content, uint32_t chars_max, struct fail *fail)
{
    if (config_is_blank(content)) {
        return refuse(fail, 0, "content is blank : ", content.data ? content : SPAN("null"));
    }
    if (is_longer(content, chars_max)) {
        return fail_set_codes(fail, E_INVALID, 0, V2_PARAMETER_VALIDATE_ERROR,
                              "invalid content, over %u", chars_max);
    }
    return 0;
}

static int check_form(const struct config_form *form, uint32_t content_chars_max, struct fail *fail)
{
    struct config_key key = form->key;
    if (config_is_blank(key.tenant)) {
        key.tenant = SPAN("");
    }
    int err = config_key_check(&key, form->v2_names, fail);
    err = err ? err : check_content(form->content, content_chars_max, fail);
    if (!err && !config_is_blank(form->tag)) {
        err = config_tag_check(span_trim(form->tag), fail);
    }
    err = err ? err : check_advanced(form, fail);
    return err ? err : check_storable(form, fail);
}

static struct span without_blank(struct span s)
{
    return config_is_blank(s) ? SPAN("") : s;
}

static void set_gray(const struct config_form *form, struct arena *arena,
                     struct config_publish *ret)
{
    if (!config_is_blank(form->beta_ips)) {
        ret->gray_name = SPAN(CONFIG_GRAY_BETA);
        ret->gray_rule = form->beta_ips;
    } else if (!config_is_blank(form->tag)) {
        ret->gray_rule = span_trim(form->tag);
        ret->gray_name = arena_printf(arena, "tag_%.*s", SPAN_ARG(ret->gray_rule));
    }
}

int config_form_check(const struct config_form *form, uint32_t content_chars_max,
                      struct arena *arena, struct config_publish *ret, struct fail *fail)
{
    int err = check_form(form, content_chars_max, fail);
    if (err) {
        return err;
    }
    struct config_publish p = {
        .key = {config_tenant(form->key.tenant), form->key.group, form->key.data_id},
        .gray_name = SPAN(""),
        .gray_rule = SPAN(""),
        .content = form->content,
        .type = config_type_of(form->type),
        .encrypted_key = without_blank(form->encrypted_key),
        .cas_md5 = without_blank(form->cas_md5),
        .app_name = form->app_name,
        .tags = form->tags,
        .desc = form->desc,
        .use = form->use,
        .effect = form->effect,
        .schema = form->schema,
    };
    if (p.cas_md5.len > CAS_BYTES_MAX) {
        p.cas_md5.len = CAS_BYTES_MAX;
    }
    set_gray(form, arena, &p);
    config_md5(p.content, p.md5);
    *ret = p;
    return 0;
}

static int refuse_trouble(struct config *c, struct fail *fail)
{
    int err = table_writer_trouble(c->tables, fail);
    if (err) {
        atomic_fetch_add_explicit(&c->counters.refused, 1, memory_order_relaxed);
    }
    return err;
}

static int check_room(struct config *c, size_t more, struct fail *fail)
{
    if (HASH_COUNT(c->items) + more > CONFIG_ITEMS_MAX) {
        return fail_set(fail, E_LIMIT, "configs: at most %d, there are %u", CONFIG_ITEMS_MAX,
                        HASH_COUNT(c->items));
    }
    return 0;
}

static int set_actor(const struct config_actor *who, struct config_op *op, struct fail *fail)
{
    int err = check_length(who->user, "src_user", USER_CHARS_MAX, fail);
    err = err ? err : check_text(who->user, "src_user", fail);
    if (err) {
        return err;
    }
    struct span ip = who->ip;
    if (ip.len > IP_BYTES_MAX) {
        ip.len = utf8_cut(ip.data, IP_BYTES_MAX);
    }
    op->src_user = who->user;
    op->src_ip = check_text(ip, "address", NULL) == 0 ? ip : SPAN("");
    return 0;
}

static int propose(struct config_op *op, const struct config_actor *who, struct api_call *waiting,
                   struct now now, struct outbox *out, struct fail *fail)
{
    op->time_ms = now.wall_ms;
    int err = set_actor(who, op, fail);
    err = err ? err : config_op_check(op, fail);
    if (err) {
        return err;
    }
    struct buf *packed = config_op_encode(op);
    if (packed->len > CONSENSUS_OP_BYTES_MAX) {
        size_t len = packed->len;
        buf_unref(packed);
        return fail_set(fail, E_TOO_LARGE, "one operation takes at most %u bytes, this one has %zu",
                        CONSENSUS_OP_BYTES_MAX, len);
    }
    outbox_propose(out, CONSENSUS_CONFIG, packed, waiting);
    return API_LATER;
}

/* NOLINTNEXTLINE(readability-function-size): an admit function's own four, and what it is about. */
int config_admit_publish(struct config *c, const struct config_publish *p,
                         const struct config_actor *who, struct api_call *waiting, struct now now,
                         struct outbox *out, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    int err = refuse_trouble(c, fail);
    if (!err && !item_find(c, &p->key)) {
        err = check_room(c, 1, fail);
    }
    if (err) {
        return err;
    }
    struct config_op op = {
        .kind = CONFIG_OP_PUBLISH,
        .publish = p,
        .publish_count = 1,
        .gray_max = c->options.gray_max,
    };
    return propose(&op, who, waiting, now, out, fail);
}

static bool has_gray(const struct config_value *v, struct span name)
{
    for (size_t i = 0; v && i < v->gray_count; i++) {
        if (span_eq(v->gray[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* What the client means: that very version, else the one of this tag. Empty: there is none. */
static struct span find_gray(const struct config_value *v, struct span as_sent)
{
    if (has_gray(v, as_sent)) {
        return as_sent;
    }
    for (size_t i = 0; v && i < v->gray_count; i++) {
        if (!v->gray[i].is_beta && span_eq(v->gray[i].rule, as_sent)) {
            return v->gray[i].name;
        }
    }
    return SPAN("");
}

/* NOLINTNEXTLINE(readability-function-size): an admit function's own four, and what it is about. */
int config_admit_remove(struct config *c, const struct config_key *key, struct span gray_name,
                        const struct config_actor *who, struct api_call *waiting, struct now now,
                        struct outbox *out, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    const struct item *i = item_find(c, key);
    const struct config_value *v = i ? i->value : NULL;
    struct config_op op = {.kind = CONFIG_OP_REMOVE, .key = *key, .gray_name = SPAN("")};
    if (!span_empty(gray_name)) {
        op.gray_name = find_gray(v, gray_name);
    }
    bool is_there = span_empty(gray_name) ? v && v->formal : !span_empty(op.gray_name);
    if (!is_there) {
        return API_ANSWERED;
    }
    int err = refuse_trouble(c, fail);
    return err ? err : propose(&op, who, waiting, now, out, fail);
}

/* NOLINTNEXTLINE(readability-function-size): an admit function's own four, and what it is about. */
int config_admit_import(struct config *c, const struct config_publish *list, size_t count,
                        enum config_policy policy, const struct config_actor *who,
                        struct api_call *waiting, struct now now, struct outbox *out,
                        struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    int err = refuse_trouble(c, fail);
    err = err ? err : check_room(c, count, fail);
    if (err) {
        return err;
    }
    struct config_op op = {
        .kind = CONFIG_OP_IMPORT,
        .publish = list,
        .publish_count = count,
        .policy = policy,
        .gray_max = c->options.gray_max,
    };
    return propose(&op, who, waiting, now, out, fail);
}
