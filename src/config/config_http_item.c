/* One config over HTTP: publish, read, remove, the end of a beta. */
#include "config/admit.h"
#include "config/config_answer.h"
#include "config/config_form.h"
#include "config/config_gate.h"
#include "config/config_http.h"
#include "config/load.h"

#include "api/dispatch.h"
#include "base/macros.h"

#define V2_TRUE "{\"code\":0,\"message\":\"success\",\"data\":true}"

/* A publish; form is what was sent, publish what the checks made of it. */
struct publish_call {
    struct config_form form;
    struct config_publish publish;
    struct config_actor who;
};

struct read_call {
    struct config_key key;
    struct config_reader reader;
    bool v2;
};

struct remove_call {
    struct config_key key;
    struct span tag; /* "": the formal version */
    struct config_actor who;
    bool v2;
};

/* "true" as either version says it. */
static void answer_true(struct api_call *call, bool v2)
{
    api_answer_text(call, v2 ? SPAN(V2_TRUE) : SPAN("true"));
}

static int decode_publish(struct api_call *call, const struct api_params *p,
                          enum config_form_style style, struct fail *fail)
{
    struct publish_call *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->who = config_form_actor(call, p, style);
    return config_form_publish(p, style, &m->form, fail);
}

HTTP_DECODE(config_http_decode_publish_v1)
{
    return decode_publish(call, p, CONFIG_FORM_V1, fail);
}

HTTP_DECODE(config_http_decode_publish_v2)
{
    return decode_publish(call, p, CONFIG_FORM_V2, fail);
}

/* The md5 of ten million bytes is the edge's work, not the core's. */
HTTP_READ(config_http_read_publish)
{
    (void)now;
    const struct config_edge *edge = self;
    struct publish_call *m = call->msg;
    int err = config_form_check(&m->form, edge->content_chars_max, &call->arena, &m->publish, fail);
    return err ? config_form_refused(err, fail) : API_TO_CORE;
}

HTTP_ADMIT(config_http_admit_publish)
{
    const struct publish_call *m = call->msg;
    answer_true(call, m->form.v2_names);
    int next = config_admit_publish(self, &m->publish, &m->who, call, now, out, fail);
    return config_form_refused(next, fail);
}

static int decode_read(struct api_call *call, const struct api_params *p,
                       enum config_form_style style, struct fail *fail)
{
    struct read_call *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->v2 = config_form_is_v2(style);
    struct span tag = {0};
    int err = config_form_key(p, style, &m->key, fail);
    if (!err) {
        err = config_form_tag(p, &tag, fail);
    }
    m->reader = config_form_reader(call, p, tag);
    return err;
}

HTTP_DECODE(config_http_decode_read_v1)
{
    return decode_read(call, p, CONFIG_FORM_V1, fail);
}

HTTP_DECODE(config_http_decode_read_v2)
{
    return decode_read(call, p, CONFIG_FORM_V2_DECLARED, fail);
}

/* Answer with what this reader gets of value (NULL: nothing). False when its content is not in
 * memory. */
static bool answer_read(struct api_call *call, const struct config_value *value)
{
    const struct read_call *m = call->msg;
    struct config_choice choice = config_choose(value, &m->reader);
    if (!choice.version) {
        config_not_found_http(call, m->v2);
        return true;
    }
    if (!choice.version->content) {
        return false;
    }
    config_answer_http(call, &choice, m->v2);
    return true;
}

/* Tell the memory budget that this one is in use; only the first reader of a round writes. */
static void mark_used(struct config_value *value)
{
    if (!atomic_load_explicit(&value->used, memory_order_relaxed)) {
        atomic_store_explicit(&value->used, true, memory_order_relaxed);
    }
}

/* DIFF(config-fresh): the view has what an answered publish wrote; Nacos answers 404, 409 or the
 * old content for a while. */
HTTP_READ(config_http_read_item)
{
    (void)fail;
    const struct config_edge *edge = self;
    const struct read_call *m = call->msg;
    if (!read_gate_is_fresh(edge->gate, now)) {
        return API_TO_CORE;
    }
    char text[VIEW_KEY_MAX];
    struct view_value *taken = NULL;
    int64_t stamp = 0;
    struct span key = config_key_view(&m->key, text);
    enum view_take take = view_take(edge->view, key, now.wall_ms, &taken, &stamp);
    if (take == VIEW_STALE) {
        return API_TO_CORE;
    }
    struct config_value *value = NULL;
    if (taken) {
        value = CONTAINER_OF(taken, struct config_value, base);
        mark_used(value);
    }
    bool is_safe = config_gate_is_safe(edge, value);
    int next = is_safe && answer_read(call, value) ? API_ANSWERED : API_TO_CORE;
    view_value_unref(taken);
    return next;
}

/* The content has come (or the config has gone meanwhile). */
/* NOLINTNEXTLINE(readability-function-size): load.h gives it seven parameters. */
static void on_loaded(struct config *c, struct item *i, struct api_call *take_call, int err,
                      const struct fail *fail, struct now now, struct outbox *out)
{
    if (err) {
        dispatch_fail(take_call, fail, out);
        return;
    }
    if (config_gate_holds(c, i, take_call, now)) {
        return; /* another version came while this one was read */
    }
    if (!answer_read(take_call, i->value)) {
        struct fail why = {0};
        (void)fail_set(&why, E_INTERNAL, "the content was read and is not there");
        dispatch_fail(take_call, &why, out);
        return;
    }
    outbox_reply(out, take_call);
}

HTTP_ADMIT(config_http_admit_item)
{
    (void)out;
    struct config *c = self;
    const struct read_call *m = call->msg;
    struct item *i = item_find(c, &m->key);
    if (config_gate_holds(c, i, call, now)) {
        return API_LATER;
    }
    if (answer_read(call, i ? i->value : NULL)) {
        return API_ANSWERED;
    }
    return load_wait(c, i, call, on_loaded, now, fail);
}

static int decode_remove(struct api_call *call, const struct api_params *p,
                         enum config_form_style style, struct fail *fail)
{
    struct remove_call *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->v2 = config_form_is_v2(style);
    m->who = config_form_actor(call, p, style);
    int err = config_form_key(p, style, &m->key, fail);
    return err ? err : config_form_tag(p, &m->tag, fail);
}

HTTP_DECODE(config_http_decode_remove_v1)
{
    return decode_remove(call, p, CONFIG_FORM_V1, fail);
}

HTTP_DECODE(config_http_decode_remove_v2)
{
    return decode_remove(call, p, CONFIG_FORM_V2_DECLARED, fail);
}

/* The gray version of this name; NULL when there is none. */
static const struct config_gray *find_gray(struct config *c, const struct config_key *key,
                                           struct span name)
{
    const struct item *i = item_find(c, key);
    for (size_t n = 0; i && i->value && n < i->value->gray_count; n++) {
        if (span_eq(i->value->gray[n].name, name)) {
            return &i->value->gray[n];
        }
    }
    return NULL;
}

/* The gray version that a removal with a tag means: the tag's; else, since that is what works with
 * Nacos, the one that the tag names in full ("tag_x").
 * DIFF(tag-remove): Nacos looks for a gray version of the raw tag's name and fails without one. */
static const struct config_gray *find_tag(struct config *c, const struct remove_call *m,
                                          struct arena *arena)
{
    const struct config_gray *own =
        find_gray(c, &m->key, arena_printf(arena, "tag_%.*s", SPAN_ARG(m->tag)));
    if (own || !span_starts(m->tag, SPAN("tag_"))) {
        return own;
    }
    return find_gray(c, &m->key, m->tag);
}

HTTP_ADMIT(config_http_admit_remove)
{
    const struct remove_call *m = call->msg;
    struct span gray_name = SPAN("");
    answer_true(call, m->v2);
    if (!span_empty(m->tag)) {
        const struct config_gray *gray = find_tag(self, m, &call->arena);
        if (!gray) {
            return API_ANSWERED;
        }
        gray_name = gray->name;
    }
    int next = config_admit_remove(self, &m->key, gray_name, &m->who, call, now, out, fail);
    return config_form_refused(next, fail);
}

HTTP_DECODE(config_http_decode_beta_stop)
{
    struct remove_call *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->who = config_form_actor(call, p, CONFIG_FORM_V1);
    return config_form_key(p, CONFIG_FORM_V1, &m->key, fail);
}

/* Without a beta Nacos answers as if something had failed, and consoles show its text. */
HTTP_ADMIT(config_http_admit_beta_stop)
{
    const struct remove_call *m = call->msg;
    if (!find_gray(self, &m->key, SPAN(CONFIG_GRAY_BETA))) {
        api_answer_text(call, SPAN("{\"code\":500,\"message\":\"remove beta data error\","
                                   "\"data\":false}"));
        return API_ANSWERED;
    }
    api_answer_text(call, SPAN("{\"code\":200,\"message\":\"stop beta ok\",\"data\":true}"));
    int next =
        config_admit_remove(self, &m->key, SPAN(CONFIG_GRAY_BETA), &m->who, call, now, out, fail);
    return config_form_refused(next, fail);
}
