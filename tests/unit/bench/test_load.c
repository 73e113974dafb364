#include "bench/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define NS_PER_MS UINT64_C(1000000)
#define SLOTS 4

/* A server made of one timer: every outstanding slot is answered when it fires, every answer_ns. */
struct fixture {
    struct poller *poller;
    struct poll_timer timer;
    struct load_slot slots[SLOTS];
    struct load_slot *pointers[SLOTS];
    struct load_config config;
    struct load_result result;
    struct fail fail;
    uint64_t answer_ns;
    uint64_t stall_from; /* from this answer on: silence */
    uint64_t answers;
    uint64_t sent;
    uint64_t refuse_from; /* sends from this one on fail: the connection is gone */
    int err;
};

static void answer_all(struct poll_timer *timer, uint64_t now_ns)
{
    struct fixture *f = CONTAINER_OF(timer, struct fixture, timer);
    struct fail fail;
    int err = f->err ? fail_set(&fail, f->err, "as told") : 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        if (f->slots[i].busy && f->slots[i].start_ns < now_ns && f->answers < f->stall_from) {
            f->answers++;
            load_done(&f->slots[i], err, &fail);
        }
    }
    timer->at_ns = now_ns + f->answer_ns;
}

static int on_send(void *self, struct load_slot *slot)
{
    struct fixture *f = self;
    (void)slot;
    if (f->sent >= f->refuse_from) {
        return E_CLOSED;
    }
    f->sent++;
    return 0;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (poller_create(&f->poller, &f->fail)) {
        return -1;
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        f->pointers[i] = &f->slots[i];
    }
    f->answer_ns = NS_PER_MS;
    f->stall_from = UINT64_MAX;
    f->refuse_from = UINT64_MAX;
    f->timer = (struct poll_timer){.at_ns = 0, .fn = answer_all};
    poller_know(f->poller, &f->timer);
    f->config = (struct load_config){.slots = f->pointers,
                                     .slot_count = SLOTS,
                                     .send = on_send,
                                     .self = f,
                                     .run_ns = 50 * NS_PER_MS};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    poller_destroy(f->poller);
    free(f);
    return 0;
}

static int run(struct fixture *f)
{
    return load_run(f->poller, &f->config, &f->result, &f->fail);
}

static void test_closed_loop__keeps_every_slot_busy(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f), 0);
    assert_int_equal(f->result.errors, 0);
    assert_true(f->result.completed >= SLOTS);
    assert_int_equal(f->result.completed, f->result.latency.count);
    assert_int_equal(f->sent, f->answers);
    /* On a busy machine measuring begins late; the run ends when it is due all the same. */
    assert_in_range(f->result.usage.elapsed_ns, 1, 60 * 1000 * NS_PER_MS);
    assert_false(f->result.usage.has_server);
}

static void test_warmup__is_not_counted(void **state)
{
    struct fixture *f = *state;
    f->config.warmup_ns = 100 * NS_PER_MS;
    f->config.run_ns = 100 * NS_PER_MS;
    assert_int_equal(run(f), 0);
    assert_true(f->result.completed > 0);
    assert_true(f->result.completed + SLOTS < f->answers);
}

static void test_count__ends_after_exactly_so_many(void **state)
{
    struct fixture *f = *state;
    f->config.count = 37;
    f->config.run_ns = 0;
    assert_int_equal(run(f), 0);
    assert_int_equal(f->sent, 37);
    assert_int_equal(f->result.completed, 37);
}

static void test_open_loop__sends_at_its_rate(void **state)
{
    struct fixture *f = *state;
    f->config.rate = 500;
    f->config.run_ns = 200 * NS_PER_MS;
    assert_int_equal(run(f), 0);
    assert_int_equal(f->sent + f->result.unsent, 100);
    assert_int_equal(f->result.errors, 0);
}

/* The server stops for good after 20 answers: what was due meanwhile is reported, and the requests
 * under way are errors. */
static void test_open_loop__a_stall_is_not_hidden(void **state)
{
    struct fixture *f = *state;
    f->config.rate = 1000;
    f->config.run_ns = 500 * NS_PER_MS;
    f->stall_from = 20;
    assert_int_equal(run(f), 0);
    assert_int_equal(f->result.completed, 20);
    assert_int_equal(f->result.errors, SLOTS);
    assert_int_equal(f->result.unsent, 500 - 20 - SLOTS);
    assert_non_null(strstr(fail_text(&f->result.first_error), "no answer"));
}

/* A server that answers every 40 ms cannot do 1000/s with four slots: latency counts from when
 * requests were due. */
static void test_open_loop__latency_counts_from_the_intended_start(void **state)
{
    struct fixture *f = *state;
    f->config.rate = 1000;
    f->config.run_ns = 300 * NS_PER_MS;
    f->answer_ns = 40 * NS_PER_MS;
    assert_int_equal(run(f), 0);
    assert_true(f->result.latency.max > 150 * NS_PER_MS);
    assert_true(f->result.unsent > 100);
}

static void test_errors__are_counted_and_the_first_is_kept(void **state)
{
    struct fixture *f = *state;
    f->err = E_INTERNAL;
    f->config.count = 10;
    assert_int_equal(run(f), 0);
    assert_int_equal(f->result.completed, 0);
    assert_int_equal(f->result.errors, 10);
    assert_string_equal(fail_text(&f->result.first_error), "as told");
    assert_int_equal(f->result.first_error.code, E_INTERNAL);
}

static void test_lost_connections__end_the_run(void **state)
{
    struct fixture *f = *state;
    f->refuse_from = 6;
    f->config.run_ns = 60000 * NS_PER_MS;
    assert_int_equal(run(f), E_CLOSED);
    assert_non_null(strstr(fail_text(&f->fail), "all connections were lost"));
}

static void test_pid__that_does_not_exist_ends_the_run(void **state)
{
    struct fixture *f = *state;
    f->config.pid = INT32_MAX;
    f->config.run_ns = 60000 * NS_PER_MS;
    assert_int_equal(run(f), E_NOT_FOUND);
    assert_non_null(strstr(fail_text(&f->fail), "--pid"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_closed_loop__keeps_every_slot_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_warmup__is_not_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_count__ends_after_exactly_so_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_loop__sends_at_its_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_loop__a_stall_is_not_hidden, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_loop__latency_counts_from_the_intended_start,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors__are_counted_and_the_first_is_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_lost_connections__end_the_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pid__that_does_not_exist_ends_the_run, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
