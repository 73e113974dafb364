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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit__only_of_a_message_that_ends_before_ours__is_lowered),
        cmocka_unit_test(test_split__no_configuration_inside__is_the_message_itself),
        cmocka_unit_test(test_split__configurations_inside__each_begins_a_part),
        cmocka_unit_test(test_split__more_parts_than_room__the_rest_is_as_lost),
    };
    return cmocka_run_group_tests_name("consensus.raft_guard", tests, NULL, NULL);
}
