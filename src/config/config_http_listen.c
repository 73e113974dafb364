/* Long polls of 1.x clients, and who listens. */
#include "config/config_answer.h"
#include "config/config_form.h"
#include "config/config_http.h"
#include "config/config_probe.h"
#include "config/poll.h"

#include "base/hash.h"
#include "base/json_out.h"
#include "base/macros.h"

#include <uthash.h>

/* Before this version (2.0.4, its digits joined) the result of a short poll is in headers. */
#define BODY_VERSION 204
/* So much earlier than the client expects it, an answer leaves. */
#define HOLD_LESS_MS 500

/* Distinct lines of an answer about listeners; what comes beyond is left out. */
#define WHO_MAX 20000

/* Nacos's way to a number: "2.0.4" is 204, what is no number between dots is skipped. */
static int64_t version_number(struct span version)
{
    int64_t sum = 0;
    while (!span_empty(version)) {
        long long part = 0;
        if (span_int(span_cut(&version, '.'), &part) && part >= 0 && part < 1000000) {
            sum = sum * 10 + part;
        }
        if (sum > INT32_MAX) {
            return INT32_MAX;
        }
    }
    return sum;
}

static int decode_hold(const struct api_params *p, struct poll_request *m, struct fail *fail)
{
    struct span sent = params_header(p, "long-pulling-timeout");
    if (!sent.data) {
        struct span version = params_header(p, "client-version");
        m->in_headers = version_number(version) < BODY_VERSION;
        return 0;
    }
    long long timeout_ms = 0;
    if (!span_int(span_trim(sent), &timeout_ms)) {
        return fail_set(fail, E_INVALID, "For input string: \"%.*s\"", SPAN_ARG(sent));
    }
    m->is_long = true;
    m->no_hangup = span_eq(params_header(p, "long-pulling-timeout-no-hangup"), SPAN("true"));
    if (timeout_ms > HOLD_LESS_MS) {
        uint64_t hold_ms = (uint64_t)timeout_ms - HOLD_LESS_MS;
        m->hold_ms = hold_ms < POLL_HOLD_MAX_MS ? hold_ms : POLL_HOLD_MAX_MS;
    }
    return 0;
}

HTTP_DECODE(config_http_decode_poll)
{
    struct poll_request *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->reader = config_form_reader(call, p, SPAN(""));
    int err = config_probe_decode(params_get(p, "Listening-Configs"), &call->arena, &m->list,
                                  &m->count, fail);
    return err ? err : decode_hold(p, m, fail);
}

HTTP_ADMIT(config_http_admit_poll)
{
    return poll_admit(self, call, call->msg, now, out, fail);
}

struct who_call {
    struct config_key key; /* of a config; or */
    struct span ip;        /* of an address, which shows */
    bool all;              /* every tenant, otherwise the default one */
    struct span tenant;    /* and this one. DIFF(listener-tenant): exactly, not as a part */
    bool with_status;      /* "collectStatus" comes first */
};

static struct who_call *who_of(struct api_call *call, bool with_status)
{
    struct who_call *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->with_status = with_status;
    return m;
}

HTTP_DECODE(config_http_decode_who)
{
    return config_form_key(p, CONFIG_FORM_V1, &who_of(call, true)->key, fail);
}

HTTP_DECODE(config_http_decode_watchers)
{
    return config_form_key(p, CONFIG_FORM_V1, &who_of(call, false)->key, fail);
}

HTTP_DECODE(config_http_decode_who_ip)
{
    struct who_call *m = who_of(call, true);
    m->tenant = config_tenant(config_form_tenant(p, CONFIG_FORM_V1));
    params_bool(p, "all", &m->all);
    return config_form_require(p, CONFIG_FORM_V1, "ip", "String", &m->ip, fail);
}

HTTP_DECODE(config_http_decode_watched)
{
    struct who_call *m = who_of(call, false);
    m->all = true;
    return config_form_require(p, CONFIG_FORM_V1, "ip", "String", &m->ip, fail);
}

/* A line of the answer: an address or a config, which comes once. */
struct line {
    struct span id; /* the address; or the bytes of the item's key, which are one item's alone */
    bool is_config;
    struct config_key config; /* spans into its item */
    struct span md5;
    UT_hash_handle hh;
};

struct lines {
    const struct who_call *m;
    struct arena *arena;
    struct line *list; /* uthash, in the order of arrival */
};

/* Several clients of an address, or several listens of a config: the last one is shown, as in
 * Nacos. */
static void add_line(struct lines *lines, struct span id, const struct config_key *config,
                     struct span md5)
{
    struct line *line = NULL;
    HASH_FIND(hh, lines->list, id.data, id.len, line);
    if (!line) {
        line = HASH_COUNT(lines->list) < WHO_MAX ? arena_try(lines->arena, sizeof(*line)) : NULL;
        if (!line) {
            return;
        }
        line->id = id;
        line->is_config = config != NULL;
        if (config) {
            line->config = *config;
            line->id = span_of((const char *)&line->config, sizeof(line->config));
        }
        HASH_ADD_KEYPTR(hh, lines->list, line->id.data, line->id.len, line);
    }
    line->md5 = md5;
}

static void add_client(void *arg, struct span client_ip, const struct config_key *key,
                       struct span md5)
{
    (void)key;
    add_line(arg, client_ip, NULL, md5);
}

static void add_config(void *arg, struct span client_ip, const struct config_key *key,
                       struct span md5)
{
    struct lines *lines = arg;
    const struct who_call *m = lines->m;
    (void)client_ip;
    bool shown = m->all || span_empty(key->tenant) || span_eq(key->tenant, m->tenant);
    if (shown) {
        add_line(lines, span_of((const char *)key, sizeof(*key)), key, md5);
    }
}

/* {"collectStatus":200,"lisentersGroupkeyStatus":{...}}: the misspelling is the contract. */
static void answer_lines(struct api_call *call, struct lines *lines)
{
    struct json_out j;
    json_init(&j, 256);
    json_object(&j);
    if (lines->m->with_status) {
        json_kint(&j, "collectStatus", 200);
    }
    json_key(&j, "lisentersGroupkeyStatus");
    json_object(&j);
    for (const struct line *line = lines->list; line; line = line->hh.next) {
        json_key_span(&j,
                      line->is_config ? config_key_text(&line->config, lines->arena) : line->id);
        json_str(&j, line->md5);
    }
    json_object_end(&j);
    json_object_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
    HASH_CLEAR(hh, lines->list);
}

HTTP_ADMIT(config_http_admit_who)
{
    (void)now;
    (void)out;
    (void)fail;
    struct config *c = self;
    struct lines lines = {.m = call->msg, .arena = &call->arena};
    const struct item *i = item_find(c, &lines.m->key);
    if (i) {
        poll_each_of_item(i, add_client, &lines);
        listen_each_of_item(i, add_client, &lines);
    }
    answer_lines(call, &lines);
    return API_ANSWERED;
}

HTTP_ADMIT(config_http_admit_who_ip)
{
    (void)now;
    (void)out;
    (void)fail;
    struct config *c = self;
    struct lines lines = {.m = call->msg, .arena = &call->arena};
    poll_each_of_ip(c, lines.m->ip, add_config, &lines);
    listen_each_of_ip(c, lines.m->ip, add_config, &lines);
    answer_lines(call, &lines);
    return API_ANSWERED;
}
