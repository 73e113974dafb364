/* Questions between nodes: answered once, or ended. */
#include "node/queries.h"

#include "peering_rig.h"

/* What came, and how often. */
struct heard {
    unsigned count;
    enum answer_state state;
    char text[256];
    int err;
    uint64_t to;
};

static void on_told(void *arg, const struct answer *a)
{
    struct heard *h = arg;
    h->count++;
    h->state = a->state;
    snprintf(h->text, sizeof(h->text), "%.*s", (int)a->text.len, a->text.len ? a->text.data : "");
}

static void ask_unknown(struct core *core, void *arg)
{
    struct heard *h = arg;
    struct fail fail = {0};
    struct query q = {.kind = (enum query_kind)99};
    struct asked how = {.patience_ms = 10000, .told = on_told, .arg = h};
    if (h->err == 0 && h->to != 0) {
        h->err = queries_ask(core, h->to, &q, &how, &fail);
        h->to = 0;
    }
}

static void look(struct core *core, void *arg)
{
    (void)core;
    (void)arg;
}

static void await_heard(struct disk *d, struct heard *h)
{
    for (int i = 0; i < TRIES && h->count == 0; i++) {
        nap();
        rig_look(d->core, look, NULL);
    }
    assert_int_equal(h->count, 1);
}

static uint64_t number_of(struct disk *d)
{
    return peering_number(d->core->peers);
}

static void ask_too_much(struct core *core, void *arg)
{
    static struct heard many;
    struct heard *h = arg;
    struct fail fail = {0};
    struct query q = {.kind = (enum query_kind)99};
    struct asked how = {.patience_ms = 10000, .told = on_told, .arg = &many};
    many = (struct heard){0};
    for (unsigned i = 0; i < QUERIES_MAX; i++) {
        assert_int_equal(queries_ask(core, h->to, &q, &how, &fail), 0);
    }
    h->err = queries_ask(core, h->to, &q, &how, &fail);
    assert_int_equal(queries_ask(core, 12345, &q, &how, &fail), E_LIMIT);
    struct now later = core->now;
    later.mono_ms += 9999;
    queries_turn(core, later);
    assert_int_equal(many.count, 0);
    assert_true(queries_deadline(core) == core->now.mono_ms + 10000);
    later.mono_ms++;
    queries_turn(core, later);
    assert_int_equal(many.count, QUERIES_MAX);
    assert_string_equal(many.text, "the other node did not answer in time");
    assert_true(queries_deadline(core) == UINT64_MAX);
    assert_int_equal(queries_ask(core, 12345, &q, &how, &fail), E_CLOSED);
    assert_int_equal(queries_ask(core, h->to, &q, &how, &fail), 0);
    queries_stop(core);
    assert_int_equal(many.count, QUERIES_MAX + 1);
    assert_string_equal(many.text, "this node stops");
}

static void give_answers(struct core *core, void *arg)
{
    struct heard *h = arg;
    struct fail fail = {0};
    struct query q = {.kind = (enum query_kind)99};
    struct asked how = {.patience_ms = 10, .told = on_told, .arg = h};
    uint64_t to = h->to;
    assert_int_equal(queries_ask(core, to, &q, &how, &fail), 0);
    struct answer a = {.state = ANSWER_DONE, .id = core->queries.last_id, .text = SPAN("forged")};
    struct buf *b = answer_encode(&a);
    assert_true(queries_on_frame(core, to + 1, PEER_ANSWER, buf_span(b), core->now));
    assert_int_equal(h->count, 0); /* not who was asked */
    buf_unref(b);
    a.id++;
    b = answer_encode(&a);
    assert_true(queries_on_frame(core, to, PEER_ANSWER, buf_span(b), core->now));
    assert_int_equal(h->count, 0); /* not what was asked */
    buf_unref(b);
    a.id--;
    a.state = ANSWER_PROGRESS;
    b = answer_encode(&a);
    struct now later = core->now;
    later.mono_ms += 9;
    assert_true(queries_on_frame(core, to, PEER_ANSWER, buf_span(b), later));
    assert_int_equal(h->count, 1);
    later.mono_ms += 9;
    queries_turn(core, later); /* patience begins anew */
    assert_int_equal(h->count, 1);
    buf_unref(b);
    a.state = ANSWER_DONE;
    b = answer_encode(&a);
    assert_true(queries_on_frame(core, to, PEER_ANSWER, buf_span(b), later));
    assert_true(queries_on_frame(core, to, PEER_ANSWER, buf_span(b), later));
    assert_int_equal(h->count, 2); /* the second one is nobody's */
    buf_unref(b);
    assert_false(queries_on_frame(core, to, PEER_ANSWER, SPAN("junk"), later));
    assert_false(queries_on_frame(core, to, PEER_QUERY, SPAN("junk"), later));
}

static void test_queries__over_real_links(void **state)
{
    (void)state;
    struct heard h = {0};
    set_up();
    begin_all();
    for (unsigned i = 0; i < NODES; i++) {
        write_through(&disks[i], "a");
    }
    h.to = number_of(&disks[1]);
    rig_look(disks[0].core, ask_unknown, &h);
    assert_int_equal(h.err, 0);
    await_heard(&disks[0], &h);
    assert_int_equal(h.state, ANSWER_FAILED);
    assert_non_null(strstr(h.text, "does not know that question"));
    close_all();
}

static void test_queries__limits_and_answers_of_others(void **state)
{
    (void)state;
    struct heard h = {0};
    static const struct api_row row = {.name = "look", .admit = rig_admit_look};
    void (*const steps[])(struct core *, void *) = {ask_too_much, give_answers};
    set_up();
    begin_all();
    for (unsigned i = 0; i < NODES; i++) {
        write_through(&disks[i], "a");
    }
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        h = (struct heard){.to = number_of(&disks[1])};
        struct rig_look one = {steps[i], disks[0].core, &h};
        struct rig_call c;
        rig_call_open(&c, &row, &one);
        rig_post(disks[0].core, &c);
        assert_int_equal(rig_wait(&c), 1);
        rig_call_close(&c);
    }
    close_all();
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries__over_real_links),
        cmocka_unit_test(test_queries__limits_and_answers_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
