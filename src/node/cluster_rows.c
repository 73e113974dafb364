#include "node/cluster_rows.h"

#include <stdio.h>
#include <string.h>

#include "api/v2_codes.h"
#include "base/json_out.h"
#include "node/members_view.h"

#define PEER_PORT_OFFSET 1001

void cluster_rows_view(const struct cluster_rows *r, struct now now, struct members_view *ret)
{
    members_view_take(r->core, now, ret);
    if (ret->is_alone) {
        const char *host = r->options->server_address;
        bool is_any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
        snprintf(ret->list[0].host, sizeof(ret->list[0].host), "%s", is_any ? "127.0.0.1" : host);
        ret->list[0].port = (uint16_t)r->options->server_port;
    }
}

static void write_raft(struct json_out *j, const struct members_view *v)
{
    char address[MEMBER_ADDRESS_MAX + 1] = "";
    json_key(j, "raftMetaData");
    json_object(j);
    json_key(j, "metaDataMap");
    json_object(j);
    json_key(j, "nacre");
    json_object(j);
    for (size_t i = 0; i < v->count; i++) {
        if (v->list[i].is_leader) {
            member_address(v->list[i].host, v->list[i].port, address);
        }
    }
    json_kstr(j, "leader", span_str(address));
    json_key(j, "raftGroupMember");
    json_array(j);
    for (size_t i = 0; i < v->count; i++) {
        if (v->list[i].is_server) {
            member_address(v->list[i].host, v->list[i].port, address);
            json_str(j, span_str(address));
        }
    }
    json_array_end(j);
    json_kint(j, "term", (int64_t)v->log.term);
    json_object_end(j);
    json_object_end(j);
    json_object_end(j);
}

/* Ours: role, lag, last contact, what it is in words. */
static void write_own(struct json_out *j, const struct member_view *m, const struct members_view *v)
{
    char id[NODE_ID_TEXT + 1] = "";
    json_key(j, "nacre");
    json_object(j);
    json_kstr(j, "role", span_str(member_view_role(m)));
    if (node_id_is_set(&m->id)) {
        node_id_text(&m->id, id);
        json_kstr(j, "id", span_str(id));
    }
    if (m->is_self) {
        json_kint(j, "lastIndex", (int64_t)v->log.last_index);
        json_kint(j, "appliedIndex", (int64_t)v->log.applied_index);
    }
    if (m->lag != UINT64_MAX) {
        json_kint(j, "lagEntries", (int64_t)m->lag);
    }
    if (m->silent_ms != UINT64_MAX) {
        json_kint(j, "lastContactMs", (int64_t)m->silent_ms);
    }
    if (m->diverged_index > 0) {
        json_kint(j, "divergedIndex", (int64_t)m->diverged_index);
    }
    json_kstr(j, "words", span_str(m->words));
    json_object_end(j);
}

static void write_abilities(struct json_out *j)
{
    json_key(j, "abilities");
    json_raw(
        j, SPAN("{\"remoteAbility\":{\"supportRemoteConnection\":true,\"grpcReportEnabled\":true},"
                "\"configAbility\":{\"supportRemoteMetrics\":false},"
                "\"namingAbility\":{\"supportJraft\":true}}"));
}

static void write_member(struct json_out *j, const struct member_view *m,
                         const struct members_view *v, struct now now)
{
    char address[MEMBER_ADDRESS_MAX + 1];
    char port[16];
    member_address(m->host, m->port, address);
    snprintf(port, sizeof(port), "%u", (unsigned)m->port + PEER_PORT_OFFSET);
    json_object(j);
    json_kstr(j, "ip", span_str(m->host));
    json_kint(j, "port", m->port);
    json_kstr(j, "state", span_str(member_view_state(m, v)));
    json_key(j, "extendInfo");
    json_object(j);
    json_kint(j, "lastRefreshTime", now.wall_ms);
    write_raft(j, v);
    json_kstr(j, "raftPort", span_str(port));
    json_kbool(j, "readyToUpgrade", true);
    json_kbool(j, "supportGrayModel", true);
    json_kstr(j, "version", SPAN("2.5.1"));
    write_own(j, m, v);
    json_object_end(j);
    json_kstr(j, "address", span_str(address));
    json_kint(j, "failAccessCnt", 0);
    write_abilities(j);
    json_kbool(j, "grpcReportEnabled", true);
    json_object_end(j);
}

/* ---------------------------------------------------------------- requests */

/* A filter: what an address begins with, and a state. Plain data. */
struct cluster_request {
    struct span prefix;
    struct span state;
    bool is_v2;
};

static int decode(struct api_call *call, struct span prefix, struct span state, bool is_v2)
{
    struct cluster_request *m = arena_alloc(&call->arena, sizeof(*m));
    *m = (struct cluster_request){prefix, state, is_v2};
    call->msg = m;
    return 0;
}

static int decode_v1(struct api_call *call, const struct api_params *p, struct fail *fail)
{
    (void)fail;
    return decode(call, params_or(p, "keyword", SPAN("")), SPAN(""), false);
}

static int decode_v2(struct api_call *call, const struct api_params *p, struct fail *fail)
{
    static const char *const states[] = {"STARTING", "UP", "SUSPICIOUS", "DOWN", "ISOLATION"};
    struct span state = params_or(p, "state", SPAN(""));
    bool is_known = span_empty(state);
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        is_known = is_known || span_ieq(state, span_str(states[i]));
    }
    if (!is_known) {
        return fail_set_codes(fail, E_INVALID, 0, V2_ILLEGAL_STATE, "Illegal state: %.*s",
                              SPAN_ARG(state));
    }
    return decode(call, params_or(p, "address", SPAN("")), state, true);
}

static void begin(const struct api_call *call, struct json_out *j)
{
    const struct cluster_request *m = call->msg;
    json_init(j, 2048);
    if (m->is_v2) {
        v2_begin(j);
    } else {
        rest_begin(j, 200, NULL);
    }
}

static int finish(struct api_call *call, struct json_out *j)
{
    const struct cluster_request *m = call->msg;
    if (m->is_v2) {
        v2_end(j);
    } else {
        rest_end(j);
    }
    api_answer_json(call, j);
    json_close(j);
    return API_ANSWERED;
}

static bool is_wanted(const struct cluster_request *r, const struct member_view *m,
                      const struct members_view *v)
{
    char address[MEMBER_ADDRESS_MAX + 1];
    member_address(m->host, m->port, address);
    return span_starts(span_str(address), r->prefix) &&
           (span_empty(r->state) || span_ieq(r->state, span_str(member_view_state(m, v))));
}

static int admit_nodes(void *self, struct api_call *call, struct now now, struct outbox *out,
                       struct fail *fail)
{
    struct members_view *v = arena_alloc(&call->arena, sizeof(*v));
    struct json_out j;
    (void)out;
    (void)fail;
    cluster_rows_view(self, now, v);
    begin(call, &j);
    json_array(&j);
    for (size_t i = 0; i < v->count; i++) {
        if (is_wanted(call->msg, &v->list[i], v)) {
            write_member(&j, &v->list[i], v, now);
        }
    }
    json_array_end(&j);
    return finish(call, &j);
}

/* This node, or NULL: it has not found itself in the list yet. */
static const struct member_view *find_self(const struct members_view *v)
{
    for (size_t i = 0; i < v->count; i++) {
        if (v->list[i].is_self) {
            return &v->list[i];
        }
    }
    return NULL;
}

static int admit_self(void *self, struct api_call *call, struct now now, struct outbox *out,
                      struct fail *fail)
{
    struct members_view *v = arena_alloc(&call->arena, sizeof(*v));
    struct json_out j;
    (void)out;
    cluster_rows_view(self, now, v);
    const struct member_view *own = find_self(v);
    if (!own) {
        return fail_set(fail, E_STARTING,
                        "this node has not found itself in the list of members "
                        "yet");
    }
    begin(call, &j);
    write_member(&j, own, v, now);
    return finish(call, &j);
}

static int admit_names(void *self, struct api_call *call, struct now now, struct outbox *out,
                       struct fail *fail)
{
    struct members_view *v = arena_alloc(&call->arena, sizeof(*v));
    struct json_out j;
    (void)out;
    (void)fail;
    cluster_rows_view(self, now, v);
    begin(call, &j);
    json_array(&j);
    for (size_t i = 0; i < v->count; i++) {
        char address[MEMBER_ADDRESS_MAX + 1];
        member_address(v->list[i].host, v->list[i].port, address);
        json_str(&j, span_str(address));
    }
    json_array_end(&j);
    return finish(call, &j);
}

static int admit_health(void *self, struct api_call *call, struct now now, struct outbox *out,
                        struct fail *fail)
{
    const struct cluster_rows *r = self;
    struct json_out j;
    (void)now;
    (void)out;
    (void)fail;
    begin(call, &j);
    json_str(&j, core_log_state(r->core).is_ready ? SPAN("UP") : SPAN("STARTING"));
    return finish(call, &j);
}

#define ROW(path, shape_, decode_, admit_)                                                         \
    {                                                                                              \
        .name = (path), .methods = API_GET, .permission = API_OPEN, .shape = (shape_),             \
        .decode_http = (decode_), .admit = (admit_)                                                \
    }
#define V1(path, admit_) ROW("/v1/core/cluster/" path, API_SHAPE_TEXT, decode_v1, admit_)
#define V2(path, admit_) ROW("/v2/core/cluster/node/" path, API_SHAPE_V2, decode_v2, admit_)

static const struct api_row rows[] = {
    V1("nodes", admit_nodes),        V1("self", admit_self),  V1("simple/nodes", admit_names),
    V1("health", admit_health),      V2("list", admit_nodes), V2("self", admit_self),
    V2("self/health", admit_health),
};

const struct api_row *cluster_http_rows(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(rows);
    return rows;
}
