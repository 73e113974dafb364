/* The core as its edges see it: mail in, calls answered once, state that follows connections. */
#include "core_rig.h"

#include "naming/state.h"

#define TEXT_MAX 4096

static struct core *begin(void)
{
    struct core *core = NULL;
    struct core_options options = rig_options();
    struct fail fail = {0};
    assert_int_equal(core_create(&options, &core, &fail), 0);
    assert_int_equal(core_start(core, NULL, &fail), 0);
    return core;
}

static void end(struct core *core)
{
    core_stop(core);
    core_destroy(core);
}

/* ---------------------------------------------------------------- rows of the test */

static int admit_yes(void *self, struct api_call *call, struct now now, struct outbox *out,
                     struct fail *fail)
{
    (void)self;
    (void)out;
    (void)fail;
    assert_true(now.wall_ms > 1600000000000);
    api_answer_text(call, SPAN("yes"));
    return API_ANSWERED;
}

static int admit_no(void *self, struct api_call *call, struct now now, struct outbox *out,
                    struct fail *fail)
{
    (void)self;
    (void)now;
    (void)out;
    api_answer_text(call, SPAN("prepared and never sent"));
    return fail_set(fail, E_CONFLICT, "no, because");
}

static int admit_mute(void *self, struct api_call *call, struct now now, struct outbox *out,
                      struct fail *fail)
{
    (void)self;
    (void)call;
    (void)now;
    (void)out;
    (void)fail;
    return E_INTERNAL;
}

/* Proposes what no version of the registry knows, or what is too large for the log. */
static int admit_propose(void *self, struct api_call *call, struct now now, struct outbox *out,
                         struct fail *fail)
{
    const size_t *size = self;
    (void)now;
    (void)fail;
    char *bytes = mem_zalloc(*size, 1);
    memset(bytes, 0xff, *size);
    enum consensus_kind kind = *size == 1 ? CONSENSUS_CONFIG : CONSENSUS_NAMING;
    outbox_propose(out, kind, buf_take(bytes, *size), call);
    return API_LATER;
}

static const struct api_row row_yes = {.name = "yes", .admit = admit_yes};
static const struct api_row row_no = {.name = "no", .admit = admit_no};
static const struct api_row row_mute = {.name = "mute", .admit = admit_mute};
static const struct api_row row_propose = {.name = "propose", .admit = admit_propose};

static const struct api_row *naming_row(const char *type)
{
    size_t count = 0;
    const struct api_row *rows = naming_rpc_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, type) == 0) {
            return &rows[i];
        }
    }
    fail_msg("no row takes %s", type);
    return NULL;
}

/* Post a request of the peer and wait: 0 or the code; the text of body or failure. */
static int ask(struct core *core, const struct peer *peer, const char *type, const char *json,
               char text[TEXT_MAX])
{
    struct rig_call c;
    rig_call_open(&c, naming_row(type), core_naming(core));
    c.call.caller.conn = peer->key;
    c.call.caller.conn_id = span_str(peer->id);
    struct fail fail = {0};
    assert_int_equal(c.call.row->decode_rpc(&c.call, span_str(json), &fail), 0);
    rig_post(core, &c);
    assert_int_equal(rig_wait(&c), 1);
    int err = c.call.reply.fail.code;
    memset(text, 0, TEXT_MAX);
    if (err) {
        snprintf(text, TEXT_MAX, "%s", fail_text(&c.call.reply.fail));
    } else {
        assert_true(body_len(&c.call.reply.body) < TEXT_MAX);
        body_copy(&c.call.reply.body, text);
    }
    rig_call_close(&c);
    return err;
}

#define NAMED "\"serviceName\":\"demo\",\"groupName\":\"G\""
#define REGISTER                                                                                   \
    "{" NAMED ",\"type\":\"registerInstance\",\"instance\":{\"ip\":\"10.0.0.1\",\"port\":80}}"

/* What a test wants to know of the core. */
struct sight {
    struct naming_stats stats;
    size_t conns;
    struct consensus_state log;
    unsigned long acks;
};

static void look(struct core *core, void *arg)
{
    struct sight *s = arg;
    naming_check(core_naming(core));
    s->stats = naming_stats(core_naming(core));
    s->conns = conn_count(core_conns(core));
    s->log = core_log_state(core);
    s->acks = atomic_load(&naming_counters(core_naming(core))->push_acks);
}

/* ---------------------------------------------------------------- calls */

static void test_call__admitted__is_delivered_once_with_its_answer(void **state)
{
    (void)state;
    struct core *core = begin();
    struct rig_call calls[100];
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        rig_call_open(&calls[i], &row_yes, NULL);
        rig_post(core, &calls[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        assert_int_equal(rig_wait(&calls[i]), 1);
        char text[8] = "";
        assert_int_equal(calls[i].call.reply.fail.code, 0);
        assert_int_equal(body_len(&calls[i].call.reply.body), 3);
        body_copy(&calls[i].call.reply.body, text);
        assert_string_equal(text, "yes");
    }
    end(core);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        assert_int_equal(calls[i].delivered, 1);
        rig_call_close(&calls[i]);
    }
}

static void test_call__refused__is_delivered_with_the_reason_and_no_body(void **state)
{
    (void)state;
    struct core *core = begin();
    struct rig_call no;
    struct rig_call mute;
    rig_call_open(&no, &row_no, NULL);
    rig_call_open(&mute, &row_mute, NULL);
    rig_post(core, &no);
    rig_post(core, &mute);
    assert_int_equal(rig_wait(&no), 1);
    assert_int_equal(no.call.reply.fail.code, E_CONFLICT);
    assert_string_equal(no.call.reply.fail.text, "no, because");
    assert_int_equal(no.call.reply.body.parts, 0);
    assert_int_equal(rig_wait(&mute), 1);
    assert_int_equal(mute.call.reply.fail.code, E_INTERNAL);
    assert_string_equal(fail_text(&mute.call.reply.fail), "server error");
    end(core);
    rig_call_close(&no);
    rig_call_close(&mute);
}

/* What the log refuses, and what it hands back and nobody understands, is answered all the same. */
static void test_call__proposal_goes_wrong__is_answered(void **state)
{
    (void)state;
    struct core *core = begin();
    static const struct {
        size_t size;
        int err;
        const char *text;
    } cases[] = {
        {CONSENSUS_OP_BYTES_MAX + 1u, E_TOO_LARGE, ""},
        {1, E_INTERNAL, "operation of unknown kind 2 in the log"},
        {100, E_INTERNAL, "the operation came back damaged from the log"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t size = cases[i].size;
        struct rig_call c;
        rig_call_open(&c, &row_propose, &size);
        rig_post(core, &c);
        assert_int_equal(rig_wait(&c), 1);
        assert_int_equal(c.call.reply.fail.code, cases[i].err);
        assert_non_null(strstr(fail_text(&c.call.reply.fail), cases[i].text));
        rig_call_close(&c);
    }
    struct sight s = {0};
    rig_look(core, look, &s);
    assert_int_equal(s.log.role, CONSENSUS_LEADER);
    assert_int_equal(s.log.applied_index, s.log.last_index);
    end(core);
}

/* ---------------------------------------------------------------- connections */

static void test_conn__registers_closes__its_instances_live_and_go(void **state)
{
    (void)state;
    struct core *core = begin();
    struct peer *peer = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    char text[TEXT_MAX];
    assert_int_equal(ask(core, peer, "InstanceRequest", REGISTER, text), E_CLIENT_GONE);
    rig_open_conn(core, peer, RIG_SETUP);
    assert_int_equal(ask(core, peer, "InstanceRequest", REGISTER, text), 0);
    assert_string_equal(
        text,
        "{\"resultCode\":200,\"errorCode\":0,\"type\":\"registerInstance\",\"success\":true}");
    struct sight s = {0};
    rig_look(core, look, &s);
    assert_int_equal(s.conns, 1);
    assert_int_equal(s.stats.instances, 1);
    assert_int_equal(s.stats.connection_clients, 1);
    assert_true(s.log.applied_index > 0);
    rig_close_conn(core, peer);
    rig_look(core, look, &s);
    assert_int_equal(s.conns, 0);
    assert_int_equal(s.stats.instances, 0);
    assert_int_equal(s.stats.clients, 0);
    /* Once more: an edge may tell of an end that is known. */
    rig_close_conn(core, peer);
    assert_int_equal(ask(core, peer, "InstanceRequest", REGISTER, text), E_CLIENT_GONE);
    end(core);
    peer_unref(peer);
}

/* A client may send its setup twice; the second changes nothing (K32). */
static void test_conn__setup_twice__keeps_what_it_registered(void **state)
{
    (void)state;
    struct core *core = begin();
    struct peer *peer = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    char text[TEXT_MAX];
    rig_open_conn(core, peer, RIG_SETUP);
    assert_int_equal(ask(core, peer, "InstanceRequest", REGISTER, text), 0);
    rig_open_conn(core, peer, RIG_SETUP);
    rig_open_conn(core, peer, "{\"labels\":{\"module\":\"config\"}}");
    struct sight s = {0};
    rig_look(core, look, &s);
    assert_int_equal(s.conns, 1);
    assert_int_equal(s.stats.instances, 1);
    rig_close_conn(core, peer);
    rig_look(core, look, &s);
    assert_int_equal(s.stats.instances, 0);
    end(core);
    peer_unref(peer);
}

/* Naming clients exist for the label module=naming only (grpc-sdk.md 3.4). */
static void test_conn__other_module__is_no_naming_client(void **state)
{
    (void)state;
    struct core *core = begin();
    struct peer *peer = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    char text[TEXT_MAX];
    rig_open_conn(core, peer, "{\"labels\":{\"module\":\"config\"}}");
    assert_int_equal(ask(core, peer, "InstanceRequest", REGISTER, text), E_CLIENT_GONE);
    char want[256];
    snprintf(want, sizeof(want),
             "errCode: -401, errMsg: Client [%s] connection already disconnect, can't register "
             "ephemeral instance. ",
             peer->id);
    assert_string_equal(text, want);
    struct sight s = {0};
    rig_look(core, look, &s);
    assert_int_equal(s.conns, 1);
    assert_int_equal(s.stats.clients, 0);
    end(core);
    peer_unref(peer);
}

static void test_conn__over_the_limit__is_not_registered(void **state)
{
    (void)state;
    struct core *core = NULL;
    struct core_options options = rig_options();
    options.conn.max_total = 1;
    struct fail fail = {0};
    assert_int_equal(core_create(&options, &core, &fail), 0);
    assert_int_equal(core_start(core, NULL, &fail), 0);
    struct peer *one = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    struct peer *two = peer_create(SPAN("10.0.0.2"), 4002, 1700000000000, 1);
    rig_open_conn(core, one, RIG_SETUP);
    rig_open_conn(core, two, RIG_SETUP);
    char text[TEXT_MAX];
    assert_int_equal(ask(core, two, "InstanceRequest", REGISTER, text), E_CLIENT_GONE);
    assert_int_equal(ask(core, one, "InstanceRequest", REGISTER, text), 0);
    end(core);
    peer_unref(one);
    peer_unref(two);
}

/* ---------------------------------------------------------------- acks, goodbye */

static void test_ack__of_nothing_and_of_nobody__is_ignored(void **state)
{
    (void)state;
    struct core *core = begin();
    struct peer *peer = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    rig_ack(core, peer, 1, true);
    rig_open_conn(core, peer, RIG_SETUP);
    static const uint64_t ids[] = {0, 1, 4711, CONN_REQUEST_ID_FIRST, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        rig_ack(core, peer, ids[i], true);
        rig_ack(core, peer, ids[i], false);
    }
    struct sight s = {0};
    rig_look(core, look, &s);
    assert_int_equal(s.conns, 1);
    assert_int_equal(s.acks, 0);
    end(core);
    peer_unref(peer);
}

static void test_ack__of_a_push__is_counted(void **state)
{
    (void)state;
    struct core *core = begin();
    struct peer *peer = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    char text[TEXT_MAX];
    rig_open_conn(core, peer, RIG_SETUP);
    assert_int_equal(
        ask(core, peer, "SubscribeServiceRequest", "{" NAMED ",\"subscribe\":true}", text), 0);
    assert_int_equal(ask(core, peer, "InstanceRequest", REGISTER, text), 0);
    /* The change was pushed in its turn; its number is the registry's first. */
    rig_ack(core, peer, 1, true);
    struct sight s = {0};
    rig_look(core, look, &s);
    assert_int_equal(s.acks, 1);
    end(core);
    peer_unref(peer);
}

static void test_goodbye__connections_and_calls__go_on(void **state)
{
    (void)state;
    struct core *core = begin();
    struct peer *peer = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    char text[TEXT_MAX];
    rig_open_conn(core, peer, RIG_SETUP);
    core_say_goodbye(core);
    core_say_goodbye(core);
    /* Clients leave in their own time; until then they are served. */
    assert_int_equal(ask(core, peer, "InstanceRequest", REGISTER, text), 0);
    end(core);
    peer_unref(peer);
}

/* ---------------------------------------------------------------- the view */

static void test_view__after_a_write__is_stale_and_then_fresh(void **state)
{
    (void)state;
    struct core *core = begin();
    struct peer *peer = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    char text[TEXT_MAX];
    rig_open_conn(core, peer, RIG_SETUP);
    assert_int_equal(ask(core, peer, "InstanceRequest", REGISTER, text), 0);
    const struct api_row *row = naming_row("ServiceQueryRequest");
    struct rig_call c;
    struct fail fail = {0};
    rig_call_open(&c, row, core_naming(core));
    assert_int_equal(row->decode_rpc(&c.call, SPAN("{" NAMED "}"), &fail), 0);
    /* As an edge: the view first, from this thread; then the core. */
    assert_int_equal(row->read(core_view(core), &c.call, clock_now(), &fail), API_TO_CORE);
    rig_post(core, &c);
    assert_int_equal(rig_wait(&c), 1);
    assert_int_equal(row->read(core_view(core), &c.call, clock_now(), &fail), API_ANSWERED);
    assert_true(body_len(&c.call.reply.body) > 200);
    rig_call_close(&c);
    end(core);
    peer_unref(peer);
}

/* ---------------------------------------------------------------- start and stop */

static void test_stop__calls_that_nobody_took__are_delivered_as_closed(void **state)
{
    (void)state;
    struct core *core = NULL;
    struct core_options options = rig_options();
    struct fail fail = {0};
    assert_int_equal(core_create(&options, &core, &fail), 0);
    struct rig_call calls[10];
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        rig_call_open(&calls[i], &row_yes, NULL);
        rig_post(core, &calls[i]);
    }
    struct peer *peer = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    rig_open_conn(core, peer, RIG_SETUP);
    rig_ack(core, peer, 1, true);
    rig_close_conn(core, peer);
    core_say_goodbye(core);
    core_stop(core); /* it never ran */
    core_destroy(core);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        assert_int_equal(calls[i].delivered, 1);
        assert_int_equal(calls[i].call.reply.fail.code, E_CLOSED);
        assert_string_equal(calls[i].call.reply.fail.text, "the server is stopping");
        rig_call_close(&calls[i]);
    }
    assert_int_equal(atomic_load(&peer->refs), 1);
    peer_unref(peer);
}

/* Calls that race with the stop are answered or closed, each exactly once. */
static void test_stop__under_load__delivers_every_call_once(void **state)
{
    (void)state;
    struct core *core = begin();
    enum { CALLS = 2000 };
    struct rig_call *calls = mem_zalloc(CALLS, sizeof(*calls));
    struct core_port port = core_port(core);
    for (size_t i = 0; i < CALLS; i++) {
        rig_call_open(&calls[i], &row_yes, NULL);
        rig_post(core, &calls[i]);
    }
    core_stop(core);
    struct rig_call late;
    rig_call_open(&late, &row_yes, NULL);
    assert_int_equal(port.post(port.self, &late.call.mail), E_CLOSED);
    core_say_goodbye(core); /* nobody is there any more */
    core_destroy(core);
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].delivered, 1);
        int err = calls[i].call.reply.fail.code;
        assert_true(err == 0 || err == E_CLOSED);
        rig_call_close(&calls[i]);
    }
    rig_call_close(&late);
    mem_free(calls);
}

static void test_stop__with_state__frees_everything(void **state)
{
    (void)state;
    struct core *core = begin();
    struct peer *peers[3];
    char text[TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        peers[i] = peer_create(SPAN("10.0.0.1"), (uint16_t)(4001 + i), 1700000000000, 1);
        rig_open_conn(core, peers[i], RIG_SETUP);
        assert_int_equal(
            ask(core, peers[i], "SubscribeServiceRequest", "{" NAMED ",\"subscribe\":true}", text),
            0);
        assert_int_equal(ask(core, peers[i], "InstanceRequest", REGISTER, text), 0);
    }
    end(core);
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        assert_int_equal(atomic_load(&peers[i]->refs), 1);
        peer_unref(peers[i]);
    }
}

static void test_destroy__nothing__is_fine(void **state)
{
    (void)state;
    core_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call__admitted__is_delivered_once_with_its_answer),
        cmocka_unit_test(test_call__refused__is_delivered_with_the_reason_and_no_body),
        cmocka_unit_test(test_call__proposal_goes_wrong__is_answered),
        cmocka_unit_test(test_conn__registers_closes__its_instances_live_and_go),
        cmocka_unit_test(test_conn__setup_twice__keeps_what_it_registered),
        cmocka_unit_test(test_conn__other_module__is_no_naming_client),
        cmocka_unit_test(test_conn__over_the_limit__is_not_registered),
        cmocka_unit_test(test_ack__of_nothing_and_of_nobody__is_ignored),
        cmocka_unit_test(test_ack__of_a_push__is_counted),
        cmocka_unit_test(test_goodbye__connections_and_calls__go_on),
        cmocka_unit_test(test_view__after_a_write__is_stale_and_then_fresh),
        cmocka_unit_test(test_stop__calls_that_nobody_took__are_delivered_as_closed),
        cmocka_unit_test(test_stop__under_load__delivers_every_call_once),
        cmocka_unit_test(test_stop__with_state__frees_everything),
        cmocka_unit_test(test_destroy__nothing__is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
