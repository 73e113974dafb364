/* A thread that waits for core, and a core that goes. */
#include "node/ask.h"

#include "disk_rig.h"
#include "node/core_state.h"

static void ignore(void *arg, struct span text)
{
    (void)arg;
    (void)text;
}

/* Over when asked the second time. */
static bool leave_soon(void *arg)
{
    unsigned *asked = arg;
    return ++*asked > 1;
}

static void be_busy(struct core *core, void *arg)
{
    (void)arg;
    core->orders.query.kind = QUERY_ADD; /* of a life that this test does not care about */
    core->orders.from = UINT64_MAX;
    core->orders.next_ms = UINT64_MAX;
}

static void test_ask__answered__gives_the_text(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    struct buf *text = NULL;
    unsigned asked = 0;
    struct ask_listener listener = {ignore, leave_soon, &asked};
    struct query q = {.kind = QUERY_MEMBERS, .is_json = true};
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(ask_core(d.core, &q, &listener, &text, &fail), 0);
    assert_true(span_starts(buf_span(text), SPAN("{\"alone\":true,")));
    buf_unref(text);
    q.kind = QUERY_ADD;
    assert_int_equal(ask_core(d.core, &q, &listener, &text, &fail), E_INVALID);
    assert_non_null(strstr(fail.text, "alone"));
    disk_close(&d);
}

static void hold(struct core *core, void *arg)
{
    (void)core;
    assert_int_equal(sem_wait(arg), 0);
}

static void *look_on(void *arg)
{
    void **args = arg;
    rig_look(args[0], hold, args[1]);
    return NULL;
}

static void test_ask__nobody_waits_any_more__leaves_without_the_answer(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    struct buf *text = NULL;
    unsigned asked = 0;
    sem_t go;
    pthread_t thread;
    struct ask_listener listener = {ignore, leave_soon, &asked};
    struct query q = {.kind = QUERY_MEMBERS};
    disk_init(&d);
    assert_int_equal(sem_init(&go, 0, 0), 0);
    assert_int_equal(disk_start(&d, &fail), 0);
    void *args[2] = {d.core, &go};
    assert_int_equal(thread_start(&thread, look_on, args), 0);
    int err = 0;
    while (err == 0) { /* until core holds still */
        asked = 0;
        err = ask_core(d.core, &q, &listener, &text, &fail);
        if (err == 0) {
            buf_unref(text);
        }
    }
    assert_int_equal(err, E_CLOSED);
    assert_int_equal(sem_post(&go), 0);
    assert_int_equal(sem_post(&go), 0); /* it looks twice */
    pthread_join(thread, NULL);
    assert_int_equal(sem_destroy(&go), 0);
    disk_close(&d); /* what was left behind is freed: the leak checker sees it */
}

static void test_ask__the_core_stops__is_told(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    struct buf *text = NULL;
    unsigned asked = 0;
    struct ask_listener listener = {ignore, leave_soon, &asked};
    struct query q = {.kind = QUERY_MEMBERS};
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    rig_look(d.core, be_busy, NULL);
    core_stop(d.core);
    assert_int_equal(ask_core(d.core, &q, &listener, &text, &fail), E_CLOSED);
    assert_non_null(strstr(fail.text, "stopping"));
    disk_close(&d);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask__answered__gives_the_text),
        cmocka_unit_test(test_ask__nobody_waits_any_more__leaves_without_the_answer),
        cmocka_unit_test(test_ask__the_core_stops__is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
