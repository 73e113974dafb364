#include "node/loader_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json_out.h"
#include "base/mem.h"
#include "node/core_state.h"
#include "node/loader.h"

#define MILLI 1000.0
#define COUNT_MAX INT32_MAX /* Nacos's Integer */
#define THRESHOLD 1.1
#define FACTOR_DEFAULT 0.1
#define NUMBER_MAX 32
#define TIME_MAX 40

/* Plain data, in the call's arena. */
struct loader_request {
    int64_t count;
    double factor;
    struct span connection;
    char host[MEMBER_HOST_MAX + 1]; /* "": anywhere */
    uint16_t port;
    /* while others are asked */
    struct core *core;
    struct api_call *call;
};

/* ---------------------------------------------------------------- decoding */

static int missing(struct fail *fail, const char *name, const char *type)
{
    return fail_set(fail, E_MISSING,
                    "Required request parameter '%s' for method parameter type %s is not present",
                    name, type);
}

/* DIFF(loader-redirect): Nacos ignores an address without a port, and sends clients anywhere. */
static int decode_redirect(const struct api_params *p, struct loader_request *m, struct fail *fail)
{
    struct span text = params_or(p, "redirectAddress", SPAN(""));
    struct fail why = {0};
    if (span_empty(text)) {
        return 0;
    }
    struct member_list *list = mem_zalloc(1, sizeof(*list));
    bool is_one = memchr(text.data, ':', text.len) &&
                  members_parse("redirectAddress", text, MEMBER_PORT_DEFAULT, list, &why) == 0 &&
                  list->count == 1;
    if (is_one) {
        memcpy(m->host, list->list[0].host, sizeof(m->host));
        m->port = list->list[0].port;
    }
    mem_free(list);
    return is_one ? 0
                  : fail_set(fail, E_INVALID, "redirectAddress: expected HOST:PORT, found '%.*s'",
                             SPAN_ARG(text));
}

static int decode(struct api_call *call, const struct api_params *p, struct fail *fail)
{
    struct loader_request *m = arena_alloc(&call->arena, sizeof(*m));
    *m = (struct loader_request){.count = -1, .factor = FACTOR_DEFAULT};
    m->connection = params_or(p, "connectionId", SPAN(""));
    call->msg = m;
    int err = params_int(p, "count", 0, COUNT_MAX, &m->count, fail);
    if (!err) {
        err = params_double(p, "loaderFactor", &m->factor, fail);
    }
    if (!err && !(m->factor >= 0)) {
        err = fail_set(fail, E_INVALID, "loaderFactor: expected a number that is not negative");
    }
    return err ? err : decode_redirect(p, m, fail);
}

static int decode_current(struct api_call *call, const struct api_params *p, struct fail *fail)
{
    int err = decode(call, p, fail);
    const struct loader_request *m = call->msg;
    return !err && m->count < 0 ? missing(fail, "count", "Integer") : err;
}

static int decode_client(struct api_call *call, const struct api_params *p, struct fail *fail)
{
    int err = decode(call, p, fail);
    const struct loader_request *m = call->msg;
    return !err && span_empty(m->connection) ? missing(fail, "connectionId", "String") : err;
}

/* ---------------------------------------------------------------- who is connected */

static void put_time(struct json_out *j, const char *key, int64_t wall_ms)
{
    char text[TIME_MAX] = "";
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc = {0};
    if (gmtime_r(&seconds, &utc)) {
        size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
        (void)snprintf(text + len, sizeof(text) - len, ".%03d+00:00", (int)(wall_ms % 1000));
    }
    json_kstr(j, key, span_str(text));
}

static void put_labels(struct json_out *j, const struct conn_info *info)
{
    json_key(j, "labels");
    json_object(j);
    json_kstr(j, "source", info->source);
    json_kstr(j, "module", info->module);
    json_kstr(j, "AppName", info->app);
    json_object_end(j);
}

struct listing {
    struct json_out *json;
    struct now now;
};

/* As Nacos's Connection and its ConnectionMeta look in JSON. */
static void put_connection(void *arg, const struct conn_info *info)
{
    const struct listing *l = arg;
    struct json_out *j = l->json;
    uint64_t active_ms = atomic_load_explicit(&info->peer->active_ms, memory_order_relaxed);
    int64_t silent_ms = (int64_t)(l->now.mono_ms > active_ms ? l->now.mono_ms - active_ms : 0);
    bool is_sdk = span_eq(info->source, SPAN("sdk"));
    json_key_span(j, span_str(info->peer->id));
    json_object(j);
    json_kbool(j, "traced", false);
    json_key(j, "metaInfo");
    json_object(j);
    json_kstr(j, "connectType", SPAN("GRPC"));
    json_kstr(j, "clientIp", info->client_ip);
    json_kstr(j, "remoteIp", span_str(info->peer->remote_ip));
    json_kint(j, "remotePort", info->peer->remote_port);
    json_kstr(j, "version", info->client_version);
    json_kstr(j, "connectionId", span_str(info->peer->id));
    put_time(j, "createTime", info->since_wall_ms);
    json_kint(j, "lastActiveTime", l->now.wall_ms - silent_ms);
    json_kstr(j, "appName", info->app);
    json_kstr(j, "tenant", info->tenant);
    put_labels(j, info);
    json_kbool(j, "sdkSource", is_sdk);
    json_kbool(j, "clusterSource", span_eq(info->source, SPAN("cluster")));
    json_object_end(j);
    json_kbool(j, "connected", true);
    json_object_end(j);
}

static int admit_current(void *self, struct api_call *call, struct now now, struct outbox *out,
                         struct fail *fail)
{
    const struct cluster_rows *r = self;
    struct json_out j;
    struct listing listing = {&j, now};
    (void)out;
    (void)fail;
    json_init(&j, 1024);
    json_object(&j);
    conn_each(r->core->conns, put_connection, &listing);
    json_object_end(&j);
    call->reply.content_type = "application/json";
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}

/* ---------------------------------------------------------------- how full each node is */

static void put_number(struct json_out *j, const char *key, uint64_t number)
{
    char text[NUMBER_MAX];
    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    json_kstr(j, key, span_str(text));
}

static void put_milli(struct json_out *j, const char *key, uint64_t milli)
{
    char text[NUMBER_MAX];
    (void)snprintf(text, sizeof(text), "%.3f", (double)milli / MILLI);
    json_kstr(j, key, span_str(text));
}

static void put_details(struct json_out *j, const struct loads *loads)
{
    json_key(j, "detail");
    json_array(j);
    for (size_t i = 0; i < loads->count; i++) {
        const struct load *load = &loads->list[i].load;
        if (!loads->list[i].is_known) {
            continue;
        }
        json_object(j);
        json_kstr(j, "address", span_str(loads->list[i].address));
        json_key(j, "metric");
        json_object(j);
        put_milli(j, "load", load->load_milli);
        put_number(j, "sdkConCount", load->sdk);
        put_milli(j, "cpu", load->cpu_milli);
        put_number(j, "conCount", load->connections);
        json_object_end(j);
        json_object_end(j);
    }
    json_array_end(j);
}

static void on_loads(void *arg, const struct loads *loads)
{
    const struct loader_request *m = arg;
    struct load_sums sums = loader_sums(loads);
    struct json_out j;
    json_init(&j, 1024);
    json_object(&j);
    json_kint(&j, "total", (int64_t)sums.total);
    json_kint(&j, "min", (int64_t)sums.min);
    json_kint(&j, "avg", (int64_t)sums.average);
    json_kint(&j, "max", (int64_t)sums.max);
    json_kint(&j, "memberCount", (int64_t)loads->count);
    json_kint(&j, "metricsCount", (int64_t)sums.known);
    json_kdouble(&j, "threshold", (double)sums.average * THRESHOLD);
    put_details(&j, loads);
    json_kbool(&j, "completed", sums.known == loads->count);
    json_object_end(&j);
    m->call->reply.content_type = "application/json";
    api_answer_json(m->call, &j);
    json_close(&j);
    outbox_reply(&m->core->out, m->call);
}

/* Ask all of them for this call. */
static int gather(const struct cluster_rows *r, struct api_call *call, struct now now,
                  loader_told_fn told, struct fail *fail)
{
    struct loader_request *m = call->msg;
    struct members_view *view = arena_alloc(&call->arena, sizeof(*view));
    m->core = r->core;
    m->call = call;
    cluster_rows_view(r, now, view);
    int err = loader_gather(r->core, view, told, m, fail);
    return err ? err : API_LATER;
}

static int admit_cluster(void *self, struct api_call *call, struct now now, struct outbox *out,
                         struct fail *fail)
{
    (void)out;
    return gather(self, call, now, on_loads, fail);
}

/* ---------------------------------------------------------------- sending clients elsewhere */

static void on_balanced(void *arg, bool is_ok)
{
    const struct loader_request *m = arg;
    api_answer_text(m->call, is_ok ? SPAN("Ok") : SPAN("Fail"));
    outbox_reply(&m->core->out, m->call);
}

static void on_loads_balance(void *arg, const struct loads *loads)
{
    const struct loader_request *m = arg;
    struct fail why = {0};
    if (loader_balance(m->core, loads, m->factor, on_balanced, arg, &why) != 0) {
        on_balanced(arg, false);
    }
}

static int admit_smart(void *self, struct api_call *call, struct now now, struct outbox *out,
                       struct fail *fail)
{
    (void)out;
    return gather(self, call, now, on_loads_balance, fail);
}

static int admit_reload(void *self, struct api_call *call, struct now now, struct outbox *out,
                        struct fail *fail)
{
    const struct cluster_rows *r = self;
    const struct loader_request *m = call->msg;
    (void)now;
    (void)out;
    (void)fail;
    (void)loader_reload(r->core, (uint64_t)m->count, m->host, m->port);
    api_answer_text(call, SPAN("success"));
    return API_ANSWERED;
}

/* One that is not here is gone already: Nacos says success, too. */
static int admit_client(void *self, struct api_call *call, struct now now, struct outbox *out,
                        struct fail *fail)
{
    const struct cluster_rows *r = self;
    const struct loader_request *m = call->msg;
    char port[8] = "";
    struct fail why = {0};
    (void)now;
    (void)fail;
    (void)snprintf(port, sizeof(port), "%u", m->port);
    (void)!conn_reset(r->core->conns, m->connection, span_str(m->host), span_str(port), out, &why);
    api_answer_text(call, SPAN("success"));
    return API_ANSWERED;
}

/* Nacos wants an administrator once authentication is on, and is open without. Until there are
 * accounts these are part of the data plane, as in namespace_http.c. */
#define ROW(path, permission_, decode_, admit_)                                                    \
    {                                                                                              \
        .name = "/v2/core/loader/" path, .methods = API_GET, .permission = (permission_),          \
        .shape = API_SHAPE_TEXT, .decode_http = (decode_), .admit = (admit_)                       \
    }

static const struct api_row rows[] = {
    ROW("current", API_CONFIG_READ, decode, admit_current),
    ROW("cluster", API_CONFIG_READ, decode, admit_cluster),
    ROW("reloadCurrent", API_CONFIG_WRITE, decode_current, admit_reload),
    ROW("smartReloadCluster", API_CONFIG_WRITE, decode, admit_smart),
    ROW("reloadClient", API_CONFIG_WRITE, decode_client, admit_client),
};

const struct api_row *loader_http_rows(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(rows);
    return rows;
}
