#include "node/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/v2_codes.h"
#include "base/json_out.h"
#include "base/thread.h"
#include "node/metrics.h"
#include "node/peering_quorum.h"

void status_init(struct status *s, struct core *core, const struct options *options,
                 const atomic_bool *ready)
{
    memset(s, 0, sizeof(*s));
    s->core = core;
    s->options = options;
    s->ready = ready;
    s->started_ns = clock_mono_ns();
    s->started_wall_ms = clock_wall_ms();
}

static int decode_nothing(struct api_call *call, const struct api_params *params, struct fail *fail)
{
    (void)call;
    (void)params;
    (void)fail;
    return 0;
}

/* {"code":0,"message":"success","data":"ok"} */
static void answer_v2_ok(struct api_call *call)
{
    struct json_out j;
    json_init(&j, 64);
    v2_begin(&j);
    json_str(&j, SPAN("ok"));
    v2_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
}

static int read_liveness(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    (void)self;
    (void)now;
    (void)fail;
    api_answer_text(call, SPAN("OK"));
    return API_ANSWERED;
}

static int read_liveness_v2(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    (void)self;
    (void)now;
    (void)fail;
    answer_v2_ok(call);
    return API_ANSWERED;
}

#define NOT_READY "naming not in readiness"

static void answer_not_ready(struct api_call *call, struct span why)
{
    call->reply.http_status = 500;
    api_answer_text(call, why);
}

/* v2 answers HTTP 200 with a code (http-api.md 8.4). */
static void answer_not_ready_v2(struct api_call *call, const char *why)
{
    struct json_out j;
    json_init(&j, 64);
    rest_begin(&j, V2_SERVER_ERROR, why);
    json_null(&j);
    rest_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
}

/* Readiness asks the core, so that a core that does not run is not called ready. */
static int read_readiness(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    struct status *s = self;
    (void)now;
    (void)fail;
    if (atomic_load(s->ready)) {
        return API_TO_CORE;
    }
    answer_not_ready(call, SPAN(NOT_READY));
    return API_ANSWERED;
}

static int read_readiness_v2(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    struct status *s = self;
    (void)now;
    (void)fail;
    if (atomic_load(s->ready)) {
        return API_TO_CORE;
    }
    answer_not_ready_v2(call, NOT_READY);
    return API_ANSWERED;
}

/* Whether a write that comes now will be taken: by this node's log, or through whoever leads. With
 * other nodes an election is no reason to send clients away; one that fails is.
 * DIFF(readiness-quorum): Nacos does not look at the others. */
static bool takes_writes(const struct status *s, struct now now, struct fail *why)
{
    struct consensus_state log = core_log_state(s->core);
    const struct peering *peers = core_peering(s->core);
    if (core_is_leaving(s->core)) { /* it serves a little longer, whoever sends it clients */
        fail_set(why, E_STARTING, "this node is stopping");
        return false;
    }
    if (peers && peering_check_quorum(peers, now, why) != 0) {
        return false;
    }
    if (log.is_full || (!peers && (log.role != CONSENSUS_LEADER || !log.is_ready))) {
        fail_set(why, E_STARTING, NOT_READY);
        return false;
    }
    return true;
}

static int admit_readiness(void *self, struct api_call *call, struct now now, struct outbox *out,
                           struct fail *fail)
{
    struct fail why = {0};
    (void)out;
    (void)fail;
    if (takes_writes(self, now, &why)) {
        api_answer_text(call, SPAN("OK"));
    } else {
        answer_not_ready(call, span_str(fail_text(&why)));
    }
    return API_ANSWERED;
}

static int admit_readiness_v2(void *self, struct api_call *call, struct now now, struct outbox *out,
                              struct fail *fail)
{
    struct fail why = {0};
    (void)out;
    (void)fail;
    if (takes_writes(self, now, &why)) {
        answer_v2_ok(call);
    } else {
        answer_not_ready_v2(call, fail_text(&why));
    }
    return API_ANSWERED;
}

/* All values are strings (http-api.md 8.3). Keys of parts that this version does not have are left
 * out. */
static int read_state(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    const struct status *s = self;
    (void)fail;
    struct json_out j;
    json_init(&j, 512);
    json_object(&j);
    json_kstr(&j, "version", SPAN("2.5.1"));
    json_kstr(&j, "startup_mode", core_peering(s->core) ? SPAN("cluster") : SPAN("standalone"));
    json_key(&j, "function_mode");
    json_null(&j); /* a name only where nacos.functionMode restricts the node to one half */
    char number[32];
    snprintf(number, sizeof(number), "%lld", (long long)s->options->server_port);
    json_kstr(&j, "server_port", span_str(number));
    json_kstr(&j, "auth_enabled", SPAN("false"));
    json_kstr(&j, "login_page_enabled", SPAN("false"));
    json_kstr(&j, "auth_system_type", SPAN("nacos"));
    json_kstr(&j, "auth_admin_request", SPAN("false"));
    json_kstr(&j, "console_ui_enabled", SPAN("true"));
    json_kstr(&j, "datasource_platform", span_str(s->options->datasource_platform));
    snprintf(number, sizeof(number), "%lld", (long long)s->options->config_content_max);
    json_kstr(&j, "maxContent", span_str(number));
    snprintf(number, sizeof(number), "%lld", (long long)s->options->config_history_days);
    json_kstr(&j, "config_retention_days", span_str(number));
    json_kstr(&j, "nacre_version", SPAN(NACRE_VERSION));
    snprintf(number, sizeof(number), "%lld", (long long)(now.wall_ms - s->started_wall_ms) / 1000);
    json_kstr(&j, "nacre_uptime_seconds", span_str(number));
    json_object_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}

static int read_actuator_health(void *self, struct api_call *call, struct now now,
                                struct fail *fail)
{
    (void)self;
    (void)now;
    (void)fail;
    call->reply.content_type = "application/vnd.spring-boot.actuator.v3+json";
    api_answer_text(call, SPAN("{\"status\":\"UP\"}"));
    return API_ANSWERED;
}

/* The request of the operator metrics: only the status, unless asked for all. */
static int decode_operator(struct api_call *call, const struct api_params *params,
                           struct fail *fail)
{
    (void)fail;
    bool *only = arena_alloc(&call->arena, sizeof(*only));
    *only = span_ieq(params_or(params, "onlyStatus", SPAN("true")), SPAN("true"));
    call->msg = only;
    return 0;
}

/* Used share of the machine's memory, 0..1, as Nacos reports it. */
static double memory_share(void)
{
    long all = sysconf(_SC_PHYS_PAGES);
    long free_pages = sysconf(_SC_AVPHYS_PAGES);
    return all > 0 ? 1.0 - (double)free_pages / (double)all : 0;
}

/* v1 also counts the instances that a node is responsible for (alone: all); v2 wraps the object in
 * a Result. */
static int answer_operator(struct status *s, struct api_call *call, bool v1)
{
    struct naming_stats n = naming_stats(core_naming(s->core));
    struct json_out j;
    json_init(&j, 512);
    if (!v1) {
        v2_begin(&j);
    }
    json_object(&j);
    json_kstr(&j, "status", SPAN("UP"));
    if (!*(bool *)call->msg) {
        json_kint(&j, "serviceCount", (int64_t)n.services);
        json_kint(&j, "instanceCount", (int64_t)n.instances);
        json_kint(&j, "subscribeCount", (int64_t)n.subscriptions);
        if (v1) {
            json_kint(&j, "responsibleInstanceCount", (int64_t)n.instances);
        }
        json_kint(&j, "clientCount", (int64_t)n.clients);
        json_kint(&j, "connectionBasedClientCount", (int64_t)n.connection_clients);
        json_kint(&j, "ephemeralIpPortClientCount", (int64_t)n.http_clients);
        json_kint(&j, "persistentIpPortClientCount", (int64_t)n.persistent_clients);
        json_kint(&j, "responsibleClientCount", (int64_t)n.clients);
        json_kdouble(&j, "cpu", cpu_meter_look(&s->cpu));
        json_kdouble(&j, "load", machine_load());
        json_kdouble(&j, "mem", memory_share());
    }
    json_object_end(&j);
    if (!v1) {
        v2_end(&j);
    }
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}

static int admit_operator(void *self, struct api_call *call, struct now now, struct outbox *out,
                          struct fail *fail)
{
    (void)now;
    (void)out;
    (void)fail;
    return answer_operator(self, call, true);
}

static int admit_operator_v2(void *self, struct api_call *call, struct now now, struct outbox *out,
                             struct fail *fail)
{
    (void)now;
    (void)out;
    (void)fail;
    return answer_operator(self, call, false);
}

static int admit_health_server(void *self, struct api_call *call, struct now now,
                               struct outbox *out, struct fail *fail)
{
    const struct status *s = self;
    (void)now;
    (void)out;
    (void)fail;
    struct span text = arena_printf(
        &call->arena, "Hello! I am Nacos-Naming and healthy! total services: %zu, local port:%lld",
        naming_stats(core_naming(s->core)).services, (long long)s->options->server_port);
    struct json_out j;
    json_init(&j, 128);
    json_object(&j);
    json_kstr(&j, "msg", text);
    json_object_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}

static int admit_prometheus(void *self, struct api_call *call, struct now now, struct outbox *out,
                            struct fail *fail)
{
    const struct status *s = self;
    (void)out;
    if (!s->options->prometheus) {
        return fail_set(fail, E_NOT_FOUND,
                        "metrics are switched off; set nacre.prometheus=true to serve them");
    }
    struct json_out text;
    json_init(&text, 16384);
    metrics_write(s, now, &text);
    call->reply.content_type = "text/plain;version=0.0.4;charset=utf-8";
    api_answer_json(call, &text);
    json_close(&text);
    return API_ANSWERED;
}

#define ROW(path, shape_, read_, admit_)                                                           \
    {                                                                                              \
        .name = (path), .methods = API_GET, .permission = API_OPEN, .shape = (shape_),             \
        .decode_http = decode_nothing, .read = (read_), .admit = (admit_)                          \
    }

#define OPERATOR(path, shape_, admit_)                                                             \
    {                                                                                              \
        .name = (path), .methods = API_GET, .permission = API_OPEN, .shape = (shape_),             \
        .decode_http = decode_operator, .admit = (admit_)                                          \
    }

static const struct api_row status_table[] = {
    ROW("/v1/console/health/liveness", API_SHAPE_TEXT, read_liveness, NULL),
    ROW("/v2/console/health/liveness", API_SHAPE_V2, read_liveness_v2, NULL),
    ROW("/v1/console/health/readiness", API_SHAPE_TEXT, read_readiness, admit_readiness),
    ROW("/v2/console/health/readiness", API_SHAPE_V2, read_readiness_v2, admit_readiness_v2),
    ROW("/v1/console/server/state", API_SHAPE_TEXT, read_state, NULL),
    ROW("/actuator/health", API_SHAPE_TEXT, read_actuator_health, NULL),
    ROW("/actuator/prometheus", API_SHAPE_TEXT, NULL, admit_prometheus),
    ROW("/v1/ns/health/server", API_SHAPE_NAMING1, NULL, admit_health_server),
    OPERATOR("/v1/ns/operator/metrics", API_SHAPE_NAMING1, admit_operator),
    OPERATOR("/v1/ns/ops/metrics", API_SHAPE_NAMING1, admit_operator),
    OPERATOR("/v2/ns/operator/metrics", API_SHAPE_V2, admit_operator_v2),
    OPERATOR("/v2/ns/ops/metrics", API_SHAPE_V2, admit_operator_v2),
};

const struct api_row *status_rows(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(status_table);
    return status_table;
}
