/* The small routes: removal by ids, capacity, health, operations. */
#include "config/config_http.h"

#include "api/v2_codes.h"
#include "config/config_page.h"
#include "config/config_query.h"
#include "config/config_repo.h"
#include "config/remove_ids.h"

/* {"code":code,"message":message,"data":data}, the HTTP status being the code or 200. */
static int answer_rest(struct api_call *call, int code, bool is_status, const char *message,
                       struct span data)
{
    struct json_out j;
    json_init(&j, 256);
    rest_begin(&j, code, message);
    json_raw(&j, data);
    rest_end(&j);
    call->reply.http_status = is_status ? code : 200;
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}

/* -------------------------------------------------------------------- removal by ids */

static int refuse_id(struct span text, struct fail *fail)
{
    int shown = text.len > 100 ? 100 : (int)text.len;
    return fail_set(fail, E_INVALID,
                    "Failed to convert value of type 'java.lang.String' to required type "
                    "'java.util.List'; nested exception is java.lang.NumberFormatException: For "
                    "input string: \"%.*s\";caused: For input string: \"%.*s\"",
                    shown, text.data, shown, text.data);
}

static int decode_ids(struct arena *arena, struct span list, struct remove_ids *ret,
                      struct fail *fail)
{
    uint64_t *ids = arena_alloc(arena, REMOVE_IDS_MAX * sizeof(*ids));
    ret->ids = ids;
    while (!span_empty(list)) {
        struct span one = span_trim(span_cut(&list, ','));
        long long id = 0;
        if (span_empty(one)) {
            continue;
        }
        if (!span_int(one, &id)) {
            return refuse_id(one, fail);
        }
        if (ret->count == REMOVE_IDS_MAX) {
            return fail_set(fail, E_INVALID, "at most %d ids can be removed at once",
                            REMOVE_IDS_MAX);
        }
        ids[ret->count++] = id > 0 ? (uint64_t)id : 0;
    }
    return 0;
}

HTTP_DECODE(config_http_decode_remove_ids)
{
    struct remove_ids *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->who = config_form_actor(call, p, CONFIG_FORM_V1);
    struct span list = {0};
    int err = config_form_require(p, CONFIG_FORM_V1, "ids", "List", &list, fail);
    return err ? err : decode_ids(&call->arena, list, m, fail);
}

HTTP_ADMIT(config_http_admit_remove_ids)
{
    (void)now;
    (void)out;
    (void)answer_rest(call, 200, false, NULL, SPAN("true"));
    return remove_ids_start(self, call->msg, call, fail);
}

/* -------------------------------------------------------------------- capacity */

#define NO_TARGET "The parameter group and tenant cannot be empty at the same time"
#define NO_TENANT "tenant cannot be an empty string"
#define NO_LIMIT                                                                                   \
    "The parameters quota, maxSize, maxAggrCount, maxAggrSize cannot be empty at the same time"
#define NO_QUOTAS "Nacre keeps no quotas and enforces none: nothing was changed"

/* Nacos's defaults (semantics.md 2.11). */
#define QUOTA 200
#define SIZE_MAX_BYTES 102400
#define AGGR_COUNT 10000
#define AGGR_SIZE 1024

struct capacity_call {
    struct repo_search search; /* what is counted */
    struct span group;         /* data NULL: the tenant is meant */
    const char *refusal;       /* status 400, instead of an answer */
    bool changes;
};

HTTP_DECODE(config_http_decode_capacity)
{
    struct capacity_call *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    struct span group = params_get(p, "group");
    struct span tenant = params_get(p, "tenant");
    (void)fail;
    if (!config_is_blank(tenant)) {
        m->search.tenant = config_tenant(tenant);
        return 0;
    }
    if (!group.data) {
        m->refusal = tenant.data ? NO_TENANT : NO_TARGET;
        return 0;
    }
    m->group = group;
    m->search.group = group;
    return 0;
}

static int run_capacity(struct db *db, struct api_call *call, struct fail *fail)
{
    const struct capacity_call *m = call->msg;
    uint64_t usage = 0;
    int err = config_repo_count(db, &m->search, &usage, fail);
    if (err) {
        return err;
    }
    struct json_out j;
    json_init(&j, 256);
    rest_begin(&j, 200, NULL);
    json_object(&j);
    json_kstr(&j, "id", SPAN("0"));
    json_kint(&j, "quota", QUOTA);
    json_kint(&j, "usage", (int64_t)usage);
    json_kint(&j, "maxSize", SIZE_MAX_BYTES);
    json_kint(&j, "maxAggrCount", AGGR_COUNT);
    json_kint(&j, "maxAggrSize", AGGR_SIZE);
    config_json_text(&j, "gmtCreate", (struct span){0});
    config_json_text(&j, "gmtModified", (struct span){0});
    json_kstr(&j, m->group.data ? "group" : "tenant", m->group.data ? m->group : m->search.tenant);
    json_object_end(&j);
    rest_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
    return 0;
}

/* DIFF(no-quotas): the usage is counted when it is asked for; there is nothing to set. */
HTTP_ADMIT(config_http_admit_capacity)
{
    const struct capacity_call *m = call->msg;
    (void)out;
    if (m->refusal) {
        return answer_rest(call, 400, true, m->refusal, SPAN("null"));
    }
    return config_query(self, call, run_capacity, now, fail);
}

HTTP_DECODE(config_http_decode_capacity_set)
{
    static const char *const limits[] = {"quota", "maxSize", "maxAggrCount", "maxAggrSize"};
    struct capacity_call *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        const struct config_number n = {limits[i], "Integer", false, CONFIG_NUMBER_INT};
        int64_t value = 0;
        int err = config_number(call, p, CONFIG_FORM_V1, &n, &value, fail);
        if (err) {
            return err;
        }
        m->changes = m->changes || !config_is_blank(params_get(p, limits[i]));
    }
    if (config_is_blank(params_get(p, "group")) && config_is_blank(params_get(p, "tenant"))) {
        m->refusal = NO_TARGET;
    } else if (!m->changes) {
        m->refusal = NO_LIMIT;
    }
    return 0;
}

HTTP_READ(config_http_read_capacity_set)
{
    const struct capacity_call *m = call->msg;
    (void)self;
    (void)now;
    (void)fail;
    return m->refusal ? answer_rest(call, 400, true, m->refusal, SPAN("false"))
                      : answer_rest(call, 501, true, NO_QUOTAS, SPAN("false"));
}

/* -------------------------------------------------------------------- health, operations */

HTTP_DECODE(config_http_decode_nothing)
{
    (void)call;
    (void)p;
    (void)fail;
    return 0;
}

/* Always 200; whoever asks looks for UP. DIFF(health-reason): UP only while writes get through. */
HTTP_ADMIT(config_http_admit_health)
{
    const struct config *c = self;
    struct fail why = {0};
    (void)now;
    (void)out;
    (void)fail;
    call->reply.content_type = "text/plain;charset=UTF-8";
    if (table_writer_trouble(c->tables, &why) == 0) {
        api_answer_text(call, SPAN("UP"));
        return API_ANSWERED;
    }
    api_answer_text(call,
                    arena_printf(&call->arena, "DOWN:master db (%s) down. ", fail_text(&why)));
    return API_ANSWERED;
}

/* DIFF(not-derby): there is none. */
HTTP_DECODE(config_http_decode_derby)
{
    struct span sql = {0};
    (void)call;
    return config_form_require(p, CONFIG_FORM_V1, "sql", "String", &sql, fail);
}

HTTP_READ(config_http_read_derby)
{
    (void)self;
    (void)now;
    (void)fail;
    return answer_rest(call, 500, false, "The current storage mode is not Derby", SPAN("null"));
}

/* Nacos reads its cache from the store again. Ours follows the log: there is nothing to do. */
HTTP_READ(config_http_read_local_cache)
{
    (void)self;
    (void)now;
    (void)fail;
    call->reply.content_type = "text/plain;charset=UTF-8";
    api_answer_text(call, SPAN("200"));
    return API_ANSWERED;
}
