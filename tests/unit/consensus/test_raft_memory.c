#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/raft_log.h"
#include "consensus/raft_memory.h"

static int last_status;
static unsigned dones;

static void on_done(void *arg, int status)
{
    (void)arg;
    last_status = status;
    dones++;
}

static uint64_t words[16];
static struct raft_entry entries[16];

static struct raft_memory *made(uint64_t seed)
{
    dones = 0;
    for (unsigned i = 0; i < 16; i++) {
        entries[i] = (struct raft_entry){.term = 1, .type = RAFT_COMMAND, .buf = {&words[i], 8}};
    }
    return raft_memory_create(seed);
}

static void test_append__completes_in_its_time_and_not_before(void **state)
{
    (void)state;
    struct raft_memory *m = made(3);
    struct raft_storage s = raft_memory_storage(m);
    raft_memory_faults(m)->delay_min_ms = 10;
    raft_memory_faults(m)->delay_max_ms = 10;
    assert_int_equal(s.ops->append(s.self, 1, entries, 3, on_done, NULL), 0);
    assert_int_equal(raft_memory_next(m), 10);
    raft_memory_run(m, 9);
    assert_int_equal(dones, 0);
    raft_memory_run(m, 10);
    assert_int_equal(dones, 1);
    assert_int_equal(raft_memory_last(m), 3);
    raft_memory_destroy(m);
}

static void test_crash__writes_under_way__are_cancelled_and_a_prefix_stays(void **state)
{
    (void)state;
    bool seen[17] = {false};
    for (unsigned i = 0; i < 200; i++) {
        struct raft_memory *m = made(i);
        struct raft_storage s = raft_memory_storage(m);
        assert_int_equal(s.ops->append(s.self, 1, entries, 8, on_done, NULL), 0);
        assert_int_equal(s.ops->append(s.self, 9, entries, 8, on_done, NULL), 0);
        raft_memory_crash(m);
        assert_int_equal(dones, 2);
        assert_int_equal(last_status, RAFT_CANCELED);
        assert_in_range(raft_memory_last(m), 0, 16);
        seen[raft_memory_last(m)] = true;
        raft_memory_destroy(m);
    }
    for (unsigned i = 0; i <= 16; i++) {
        assert_true(seen[i]);
    }
}

static void test_crash__truncation_under_way__is_whole_or_not_there(void **state)
{
    (void)state;
    unsigned cut = 0;
    for (unsigned i = 0; i < 50; i++) {
        struct raft_memory *m = made(i);
        struct raft_storage s = raft_memory_storage(m);
        assert_int_equal(s.ops->append(s.self, 1, entries, 8, on_done, NULL), 0);
        raft_memory_run(m, 1);
        assert_int_equal(s.ops->truncate(s.self, 5), 0);
        assert_int_equal(s.ops->append(s.self, 5, entries, 2, on_done, NULL), 0);
        raft_memory_crash(m);
        assert_true(raft_memory_last(m) == 8 ||
                    (raft_memory_last(m) >= 4 && raft_memory_last(m) <= 6));
        cut += raft_memory_last(m) != 8;
        raft_memory_destroy(m);
    }
    assert_in_range(cut, 1, 49);
}

static void test_stop_at_meta__old_or_new_is_there_and_the_rest_stays(void **state)
{
    (void)state;
    unsigned news = 0;
    for (unsigned i = 0; i < 50; i++) {
        struct raft_memory *m = made(i);
        struct raft_storage s = raft_memory_storage(m);
        struct raft_loaded found = {0};
        raft_memory_faults(m)->stop_at_meta = 3;
        assert_int_equal(s.ops->set_term(s.self, 7), 0);
        assert_int_equal(s.ops->set_vote(s.self, 2), 0);
        assert_false(raft_memory_faults(m)->is_stopped);
        assert_int_equal(s.ops->set_term(s.self, 8), RAFT_IOERR);
        assert_true(raft_memory_faults(m)->is_stopped);
        raft_memory_crash(m);
        raft_memory_load(m, &found);
        bool is_new = found.term == 8 && found.vote == 0;
        assert_true(is_new || (found.term == 7 && found.vote == 2));
        news += is_new;
        raft_free(found.entries);
        raft_memory_destroy(m);
    }
    assert_in_range(news, 1, 49);
}

static void test_full__writes_hold_and_go_on_by_themselves(void **state)
{
    (void)state;
    struct raft_memory *m = made(3);
    struct raft_storage s = raft_memory_storage(m);
    raft_memory_faults(m)->is_full = true;
    assert_int_equal(s.ops->capacity(s.self), 0);
    assert_int_equal(s.ops->append(s.self, 1, entries, 1, on_done, NULL), 0);
    raft_memory_run(m, 1000);
    assert_int_equal(dones, 0);
    raft_memory_faults(m)->is_full = false;
    raft_memory_run(m, 1001);
    assert_int_equal(dones, 1);
    assert_int_equal(last_status, 0);
    raft_memory_destroy(m);
}

static void test_fail_after__that_write_reports_an_error(void **state)
{
    (void)state;
    struct raft_memory *m = made(3);
    struct raft_storage s = raft_memory_storage(m);
    raft_memory_faults(m)->fail_after = 2;
    assert_int_equal(s.ops->append(s.self, 1, entries, 1, on_done, NULL), 0);
    raft_memory_run(m, 1);
    assert_int_equal(last_status, 0);
    assert_int_equal(s.ops->append(s.self, 2, entries, 1, on_done, NULL), 0);
    raft_memory_run(m, 2);
    assert_int_equal(last_status, RAFT_IOERR);
    assert_int_equal(raft_memory_last(m), 1);
    raft_memory_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append__completes_in_its_time_and_not_before),
        cmocka_unit_test(test_crash__writes_under_way__are_cancelled_and_a_prefix_stays),
        cmocka_unit_test(test_crash__truncation_under_way__is_whole_or_not_there),
        cmocka_unit_test(test_stop_at_meta__old_or_new_is_there_and_the_rest_stays),
        cmocka_unit_test(test_full__writes_hold_and_go_on_by_themselves),
        cmocka_unit_test(test_fail_after__that_write_reports_an_error),
    };
    return cmocka_run_group_tests_name("consensus.raft_memory", tests, NULL, NULL);
}
