#include "config/import.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/dispatch.h"
#include "base/assert.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/thread.h"
#include "config/config_repo.h"

#include <utlist.h>

/* ------------------------------------------------------------------ answers */

static struct span text_of(enum import_code code)
{
    switch (code) {
    case IMPORT_NO_NAMESPACE:
        return SPAN("目标 namespace 不存在");
    case IMPORT_BAD_METADATA:
        return SPAN("导入的元数据非法");
    case IMPORT_NO_VALID_DATA:
        return SPAN("未读取到合法数据");
    case IMPORT_UNREADABLE:
        return SPAN("解析数据失败");
    case IMPORT_EMPTY:
        return SPAN("导入的文件数据为空");
    case IMPORT_NOTHING_CHOSEN:
        return SPAN("没有选择任何配置");
    }
    ASSERT(!"a code of the table");
    return (struct span){0};
}

/* RestResult's beginning, up to its data's members. */
static void begin_result(struct json_out *j, int code, struct span message)
{
    json_init(j, 256);
    json_object(j);
    json_kint(j, "code", code);
    json_kstr(j, "message", message);
    json_key(j, "data");
    json_object(j);
}

static void end_result(struct json_out *j, struct api_call *call)
{
    json_object_end(j);
    json_object_end(j);
    api_answer_json(call, j);
    json_close(j);
}

void import_answer_code(struct api_call *call, enum import_code code, bool with_count,
                        const char *why)
{
    struct json_out j;
    begin_result(&j, (int)code, text_of(code));
    if (with_count) {
        json_kint(&j, "succCount", 0);
    }
    if (why) {
        json_kstr(&j, "reason", span_str(why));
    }
    end_result(&j, call);
}

/* How many of the first end publishes had this outcome. */
static size_t count_of(const struct import_job *job, size_t end, enum config_outcome outcome)
{
    size_t count = 0;
    for (size_t i = 0; i < end; i++) {
        count += job->outcomes[i] == outcome;
    }
    return count;
}

/* "name":[{"dataId","group"}] of those with this outcome. */
static void write_names(struct json_out *j, const struct import_job *job, const char *name,
                        enum config_outcome outcome)
{
    json_key(j, name);
    json_array(j);
    for (size_t i = 0; i < job->count; i++) {
        if (job->outcomes[i] == outcome) {
            json_object(j);
            json_kstr(j, "dataId", job->list[i].key.data_id);
            json_kstr(j, "group", job->list[i].key.group);
            json_object_end(j);
        }
    }
    json_array_end(j);
}

static void write_unrecognized(struct json_out *j, const struct import_job *job)
{
    json_key(j, "unrecognizedData");
    json_array(j);
    for (size_t i = 0; i < job->unrecognized_count; i++) {
        json_object(j);
        json_kstr(j, "itemName", job->unrecognized[i]);
        json_object_end(j);
    }
    json_array_end(j);
}

static void answer(struct import_job *job)
{
    struct json_out j;
    size_t skipped = count_of(job, job->count, CONFIG_SKIPPED);
    begin_result(&j, 200, span_str(job->done_message));
    json_kint(&j, "succCount", (int64_t)count_of(job, job->count, CONFIG_DONE));
    if (job->unrecognized_count > 0) {
        json_kint(&j, "unrecognizedCount", (int64_t)job->unrecognized_count);
    }
    json_kint(&j, "skipCount", (int64_t)skipped);
    if (count_of(job, job->count, CONFIG_EXISTS) > 0) {
        write_names(&j, job, "failData", CONFIG_EXISTS);
    }
    if (skipped > 0) {
        write_names(&j, job, "skipData", CONFIG_SKIPPED);
    }
    if (job->unrecognized_count > 0) {
        write_unrecognized(&j, job);
    }
    end_result(&j, job->call);
}

/* ------------------------------------------------------------------ pieces */

static struct import_job *find(struct config *c, const struct api_call *call)
{
    struct import_job *job = c->imports;
    while (job && job->call != call) {
        job = job->next_job;
    }
    return job;
}

static void forget(struct config *c, struct import_job *job)
{
    LL_DELETE2(c->imports, job, next_job);
    c->import_bytes -= job->bytes;
}

static size_t bytes_of(const struct config_publish *p)
{
    return p->key.tenant.len + p->key.group.len + p->key.data_id.len + p->content.len +
           p->encrypted_key.len + p->app_name.len + p->tags.len + p->desc.len + p->use.len +
           p->effect.len + p->schema.len;
}

/* How many go into the next entry: at least one. */
static size_t piece_of(const struct import_job *job)
{
    const struct config_publish *list = job->list + job->next;
    size_t left = job->count - job->next;
    size_t bytes = bytes_of(&list[0]);
    size_t count = 1;
    while (count < left && count < IMPORT_PIECE_ITEMS) {
        bytes += bytes_of(&list[count]);
        if (bytes > IMPORT_PIECE_BYTES) {
            break;
        }
        count++;
    }
    return count;
}

static int propose(struct config *c, struct import_job *job, struct now now, struct outbox *out,
                   struct fail *fail)
{
    size_t count = piece_of(job);
    int next = config_admit_import(c, job->list + job->next, count, job->policy, &job->who,
                                   job->call, now, out, fail);
    if (next == API_LATER) {
        job->next += count;
    }
    return next;
}

int import_start(struct config *c, struct import_job *job, struct api_call *call, struct now now,
                 struct outbox *out, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(job->count > 0);
    if (c->imports_stopped) {
        return fail_set(fail, E_CLOSED, "the server is stopping");
    }
    if (job->count > CONFIG_IMPORT_MAX) {
        return fail_set(fail, E_TOO_LARGE, "at most %d configs in one request, got %zu",
                        CONFIG_IMPORT_MAX, job->count);
    }
    job->bytes = 0;
    for (size_t i = 0; i < job->count; i++) {
        job->bytes += bytes_of(&job->list[i]);
    }
    if (job->bytes > IMPORT_BYTES_MAX - c->import_bytes) {
        return fail_set(fail, E_LIMIT,
                        "%" PRIu64 " bytes of imports go on already, at most %u may: try again",
                        c->import_bytes, IMPORT_BYTES_MAX);
    }
    job->outcomes = arena_alloc(&call->arena, job->count * sizeof(*job->outcomes));
    job->applied = job->next = 0;
    job->call = call;
    int next = propose(c, job, now, out, fail);
    if (next == API_LATER) {
        LL_PREPEND2(c->imports, job, next_job);
        c->import_bytes += job->bytes;
    }
    return next;
}

/* The call ends without the rest; what came before is there. */
static void give_up(struct config *c, struct import_job *job, const struct fail *why,
                    struct outbox *out)
{
    struct fail fail = *why;
    if (job->applied > 0) {
        (void)fail_set_codes(&fail, why->code, why->nacos, why->v2,
                             "%zu of %zu configs were looked at, %zu of them stored, then: %s",
                             job->applied, job->count, count_of(job, job->applied, CONFIG_DONE),
                             fail_text(why));
    }
    forget(c, job);
    dispatch_fail(job->call, &fail, out);
}

/* Take over what became of the piece. True when it was stopped by a config that exists.
 * DIFF(import-conflicts): on Derby Nacos never sees one, whatever the policy. */
static bool take_outcomes(struct import_job *job, const struct config_changes *changes)
{
    bool is_over = false;
    ASSERT(changes->outcomes_count == job->next - job->applied);
    for (size_t i = 0; i < changes->outcomes_count; i++) {
        enum config_outcome o = changes->outcomes[i];
        is_over = is_over || o == CONFIG_EXISTS;
        /* Whatever kept it out: it failed. */
        job->outcomes[job->applied + i] = o == CONFIG_REFUSED ? CONFIG_EXISTS : o;
    }
    job->applied = job->next;
    for (size_t i = job->applied; is_over && i < job->count; i++) {
        job->outcomes[i] = CONFIG_SKIPPED;
    }
    return is_over;
}

void import_on_applied(struct config *c, const struct config_applied *a, struct now now,
                       struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct import_job *job = find(c, a->waiting);
    ASSERT(job != NULL);
    struct fail fail = {0};
    if (a->err) {
        give_up(c, job, a->fail, out);
        return;
    }
    if (take_outcomes(job, a->changes) || job->applied == job->count) {
        forget(c, job);
        answer(job);
        outbox_reply(out, job->call);
        return;
    }
    int next = c->imports_stopped ? fail_set(&fail, E_CLOSED, "the server is stopping")
                                  : propose(c, job, now, out, &fail);
    if (next < 0) {
        give_up(c, job, &fail, out);
    }
}

bool import_on_rejected(struct config *c, struct api_call *call, const struct fail *why,
                        struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct import_job *job = find(c, call);
    if (!job) {
        return false;
    }
    give_up(c, job, why, out);
    return true;
}

/* ------------------------------------------------------------------ clones */

/* A clone whose sources are being read. The job has the call's arena meanwhile. */
struct clone {
    struct db_job job;
    struct clone *next; /* clones_ended */
    struct config *c;
    struct api_call *call;
    const struct import_clone *what;
    uint32_t content_chars_max;
    struct config_publish *list; /* in the arena, with room for what->count */
    size_t count;
};

static int by_id(const void *key, const void *member)
{
    const uint64_t *id = key;
    const struct import_pick *pick = member;
    return (*id > pick->id) - (*id < pick->id);
}

/* A copy in the call's arena; NULL stays NULL. */
static int keep(struct clone *k, struct span s, struct span *ret, struct fail *fail)
{
    *ret = (struct span){0};
    if (!s.data) {
        return 0;
    }
    char *copy = arena_try(&k->call->arena, s.len + 1);
    if (!copy) {
        return fail_set(fail, E_TOO_LARGE,
                        "the configs to clone are larger than a request may be: choose fewer");
    }
    if (s.len > 0) {
        memcpy(copy, s.data, s.len);
    }
    *ret = span_of(copy, s.len);
    return 0;
}

static struct span renamed(struct span as_asked, struct span source)
{
    return config_is_blank(as_asked) ? source : as_asked;
}

/* Everything of the source that a person gave it. DIFF(clone-whole): Nacos leaves tags, use, effect
 * and schema behind. */
static int copy_row(struct clone *k, const struct repo_row *row, struct config_form *form,
                    struct fail *fail)
{
    const struct {
        struct span from;
        struct span *to;
    } texts[] = {
        {row->key.group, &form->key.group},
        {row->key.data_id, &form->key.data_id},
        {row->content, &form->content},
        {row->type, &form->type},
        {row->app_name, &form->app_name},
        {row->tags, &form->tags},
        {row->desc, &form->desc},
        {row->use, &form->use},
        {row->effect, &form->effect},
        {row->schema, &form->schema},
        {row->encrypted_key, &form->encrypted_key},
    };
    int err = 0;
    for (size_t i = 0; !err && i < ARRAY_LEN(texts); i++) {
        err = keep(k, texts[i].from, texts[i].to, fail);
    }
    return err;
}

/* Say which config a check refused. */
static int name_refused(const struct config_form *form, int err, struct fail *fail)
{
    struct fail why = *fail;
    return fail_set_codes(fail, err, 0, why.v2, "%.*s/%.*s: %s", SPAN_ARG(form->key.group),
                          SPAN_ARG(form->key.data_id), fail_text(&why));
}

static int clone_row(void *arg, const struct repo_row *row, struct fail *fail)
{
    struct clone *k = arg;
    const struct import_clone *what = k->what;
    const struct import_pick *pick =
        bsearch(&row->id, what->picks, what->count, sizeof(*what->picks), by_id);
    if (!pick || k->count == what->count) {
        return 0;
    }
    struct config_form form = {0};
    int err = copy_row(k, row, &form, fail);
    if (err) {
        return err;
    }
    form.key.tenant = what->tenant;
    form.key.group = renamed(pick->group, form.key.group);
    form.key.data_id = renamed(pick->data_id, form.key.data_id);
    err = config_form_check(&form, k->content_chars_max, &k->call->arena, &k->list[k->count], fail);
    if (err) {
        return name_refused(&form, err, fail);
    }
    k->count++;
    return 0;
}

static int clone_run(struct db_job *job, struct db *db, struct fail *fail)
{
    struct clone *k = CONTAINER_OF(job, struct clone, job);
    uint64_t *ids = arena_try(&k->call->arena, k->what->count * sizeof(*ids));
    k->list = arena_try(&k->call->arena, k->what->count * sizeof(*k->list));
    if (!ids || !k->list) {
        return fail_set(fail, E_TOO_LARGE, "%zu configs to clone are too many for one request",
                        k->what->count);
    }
    for (size_t i = 0; i < k->what->count; i++) {
        ids[i] = k->what->picks[i].id;
    }
    struct repo_search search = {
        .ids = ids, .ids_count = k->what->count, .any_tenant = true, .tenant = SPAN("")};
    return config_repo_search(db, &search, clone_row, k, fail);
}

/* Nobody turns any more after config_stop, so the call goes back from here. */
static void clone_done(struct db_job *take_job)
{
    struct clone *k = CONTAINER_OF(take_job, struct clone, job);
    struct config *c = k->c;
    c->clones_out--;
    if (!c->imports_stopped) {
        k->next = c->clones_ended;
        c->clones_ended = k;
        return;
    }
    (void)fail_set(&k->call->reply.fail, E_CLOSED, "the server is stopping");
    k->call->deliver(k->call);
    mem_free(k);
}

int import_clone(struct config *c, const struct import_clone *clone, struct api_call *call,
                 struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    if (c->imports_stopped) {
        return fail_set(fail, E_CLOSED, "the server is stopping");
    }
    if (c->clones_out >= IMPORT_CLONES_MAX) {
        return fail_set(fail, E_LIMIT, "%u clones go on already: try again", c->clones_out);
    }
    struct clone *k = mem_zalloc(1, sizeof(*k));
    k->job = (struct db_job){.lane = DB_LANE_READ, .run = clone_run, .done = clone_done};
    k->c = c;
    k->call = call;
    k->what = clone;
    k->content_chars_max = c->options.content_chars_max;
    int err = table_writer_read(c->tables, &k->job, fail);
    if (err) {
        mem_free(k);
        return err;
    }
    c->clones_out++;
    return API_LATER;
}

/* Its sources are here: import them. */
static void clone_end(struct config *c, struct clone *k, struct now now, struct outbox *out)
{
    if (k->job.err) {
        dispatch_fail(k->call, &k->job.fail, out);
        return;
    }
    if (k->count == 0) {
        import_answer_code(k->call, IMPORT_EMPTY, true, NULL);
        outbox_reply(out, k->call);
        return;
    }
    struct fail fail = {0};
    struct import_job *job = arena_alloc(&k->call->arena, sizeof(*job));
    job->list = k->list;
    job->count = k->count;
    job->policy = k->what->policy;
    job->who = k->what->who;
    job->done_message = IMPORT_CLONED;
    if (import_start(c, job, k->call, now, out, &fail) < 0) {
        dispatch_fail(k->call, &fail, out);
    }
}

static struct clone *take_ended(struct config *c)
{
    struct clone *k = c->clones_ended;
    c->clones_ended = k->next;
    return k;
}

void import_turn(struct config *c, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    while (c->clones_ended) {
        struct clone *k = take_ended(c);
        clone_end(c, k, now, out);
        mem_free(k);
    }
}

void import_stop(struct config *c, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    c->imports_stopped = true;
    struct fail fail = {0};
    (void)fail_set(&fail, E_CLOSED, "the server is stopping");
    while (c->clones_ended) {
        struct clone *k = take_ended(c);
        dispatch_fail(k->call, &fail, out);
        mem_free(k);
    }
}
