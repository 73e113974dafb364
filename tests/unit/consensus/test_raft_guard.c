#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/raft_guard.h"

static struct raft_append_entries made(unsigned n, const char *types)
{
    struct raft_append_entries a = {
        .term = 5, .prev_log_index = 10, .prev_log_term = 4, .leader_commit = 99, .n_entries = n};
    if (n == 0) {
        return a;
    }
    a.entries = raft_calloc(n, sizeof *a.entries);
    uint64_t *batch = raft_calloc(n, 8);
    for (unsigned i = 0; i < n; i++) {
        batch[i] = i;
        a.entries[i] = (struct raft_entry){.term = 5,
                                           .type = types[i] == 'C' ? RAFT_CHANGE : RAFT_COMMAND,
                                           .buf = {&batch[i], 8},
                                           .batch = batch};
    }
    return a;
}

static void drop(struct raft_append_entries *a)
{
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .append_entries = *a};
    raft_guard_free(&m);
}

static void test_commit__only_of_a_message_that_ends_before_ours__is_lowered(void **state)
{
    (void)state;
    struct raft_append_entries a = {.prev_log_index = 10, .n_entries = 2, .leader_commit = 50};
    raft_guard_commit(&a, 12);
    assert_int_equal(a.leader_commit, 50);
    raft_guard_commit(&a, 13);
    assert_int_equal(a.leader_commit, 13);
    a.leader_commit = 5;
    raft_guard_commit(&a, 13);
    assert_int_equal(a.leader_commit, 5);
}

static void test_split__no_configuration_inside__is_the_message_itself(void **state)
{
    (void)state;
    static const char *const plain[] = {"", ".", "...", "C", "C.."};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        struct raft_append_entries a = made((unsigned)strlen(plain[i]), plain[i]);
        struct raft_entry *entries = a.entries;
        struct raft_append_entries parts[4];
        assert_int_equal(raft_guard_split(&a, parts, 4), 1);
        assert_ptr_equal(parts[0].entries, entries);
        drop(&parts[0]);
    }
}

static void test_split__configurations_inside__each_begins_a_part(void **state)
{
    (void)state;
    struct raft_append_entries a = made(6, "..C.CC");
    struct raft_append_entries parts[8];
    assert_int_equal(raft_guard_split(&a, parts, 8), 4);
    static const unsigned counts[] = {2, 2, 1, 1};
    uint64_t index = 10;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(parts[i].n_entries, counts[i]);
        assert_int_equal(parts[i].prev_log_index, index);
        assert_int_equal(parts[i].prev_log_term, i == 0 ? 4 : 5);
        assert_int_equal(*(uint64_t *)parts[i].entries[0].buf.base, index - 10);
        index += counts[i];
        drop(&parts[i]);
    }
}

static void test_split__more_parts_than_room__the_rest_is_as_lost(void **state)
{
    (void)state;
    struct raft_append_entries a = made(4, "CCCC");
    struct raft_append_entries parts[2];
    assert_int_equal(raft_guard_split(&a, parts, 2), 2);
    drop(&parts[0]);
    drop(&parts[1]);
}

static struct raft_append_entries seven(void)
{
    struct raft_append_entries a = {.term = 3, .prev_log_index = 10, .prev_log_term = 2};
    a.n_entries = 7;
    a.entries = raft_calloc(a.n_entries, sizeof *a.entries);
    char *batch = raft_calloc(a.n_entries, 8);
    for (unsigned i = 0; i < a.n_entries; i++) {
        a.entries[i] = (struct raft_entry){3, RAFT_COMMAND, {batch + i * 8ul, 8}, batch};
    }
    return a;
}

static void test_skip__begins_before_the_snapshot__begins_at_it(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .append_entries = seven()};
    struct raft_append_entries *a = &m.append_entries;
    char *batch = a->entries[0].batch;
    raft_guard_skip(a, 14, 3);
    assert_int_equal(a->prev_log_index, 14);
    assert_int_equal(a->prev_log_term, 3);
    assert_int_equal(a->n_entries, 3);
    assert_ptr_equal(a->entries[0].buf.base, batch + 32);
    assert_ptr_equal(a->entries[0].batch, batch);
    raft_guard_free(&m);
}

static void test_skip__ends_before_the_snapshot__is_a_heartbeat_there(void **state)
{
    (void)state;
    struct raft_append_entries a = seven();
    raft_guard_skip(&a, 17, 3);
    assert_int_equal(a.prev_log_index, 17);
    assert_int_equal(a.n_entries, 0);
    assert_null(a.entries);
    raft_guard_skip(&a, 20, 3);
    assert_int_equal(a.prev_log_index, 20);
}

static void test_leads__append_or_snapshot_of_the_term__only(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .append_entries = {.term = 3}};
    assert_true(raft_guard_leads(&m, 3));
    assert_false(raft_guard_leads(&m, 4));
    m = (struct raft_message){.type = RAFT_INSTALL_SNAPSHOT, .install_snapshot = {.term = 3}};
    assert_true(raft_guard_leads(&m, 3));
    m = (struct raft_message){.type = RAFT_REQUEST_VOTE, .request_vote = {.term = 3}};
    assert_false(raft_guard_leads(&m, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_skip__begins_before_the_snapshot__begins_at_it),
        cmocka_unit_test(test_skip__ends_before_the_snapshot__is_a_heartbeat_there),
        cmocka_unit_test(test_leads__append_or_snapshot_of_the_term__only),
        cmocka_unit_test(test_commit__only_of_a_message_that_ends_before_ours__is_lowered),
        cmocka_unit_test(test_split__no_configuration_inside__is_the_message_itself),
        cmocka_unit_test(test_split__configurations_inside__each_begins_a_part),
        cmocka_unit_test(test_split__more_parts_than_room__the_rest_is_as_lost),
    };
    return cmocka_run_group_tests_name("consensus.raft_guard", tests, NULL, NULL);
}
