#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/membership_state.h"
#include "membership_bed.h"

static struct bed b;

static int setup(void **state)
{
    (void)state;
    bed_init(&b, 1);
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    bed_run(&b, 2000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bed_check(&b);
    bed_close(&b);
    return 0;
}

static struct hello from(unsigned i)
{
    struct hello h = {.version = HELLO_VERSION, .port = 8848, .life = 5, .release = "9"};
    h.id = b.node[i].id;
    memcpy(h.cluster_id, membership_cluster_id(b.node[0].m), CLUSTER_ID_BYTES);
    memcpy(h.list_hash, b.node[0].m->list_hash, MEMBERS_HASH_BYTES);
    return h;
}

static bool say(const struct hello *h, const struct node_id *sender, struct fail *fail)
{
    struct buf *bytes = hello_encode(h);
    bool ok = membership_on_hello(b.node[0].m, sender, buf_span(bytes), b.now, fail);
    buf_unref(bytes);
    membership_turn(b.node[0].m, b.now);
    return ok;
}

static void test_hello__under_another_name_is_refused(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct hello h = from(1);
    assert_false(say(&h, &b.node[2].id, &fail));
    assert_non_null(strstr(fail.text, "expected the id that TLS proved"));
    assert_false(membership_on_hello(b.node[0].m, &b.node[1].id, SPAN("\xff"), b.now, &fail));
    assert_true(say(&h, &b.node[1].id, &fail));
    struct membership_status st = bed_status(&b, 0, "n1");
    assert_string_equal(st.release, "9");
}

static void test_hello__of_nobody_we_know_changes_nothing(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct hello h = from(1);
    memset(h.id.bytes, 0x77, sizeof(h.id.bytes));
    assert_true(say(&h, &h.id, &fail));
    assert_int_equal(membership_slot_of(b.node[0].m, node_id_number(&h.id)), -1);
    assert_false(membership_is_peer(b.node[0].m, &h.id));
}

static void test_lives__one_that_comes_back_is_a_second_process(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct hello h = from(1);
    assert_true(say(&h, &b.node[1].id, &fail)); /* a restart */
    assert_false(bed_has_said(&b, 0, "two processes"));
    h.life = 6;
    assert_true(say(&h, &b.node[1].id, &fail)); /* another one */
    assert_false(bed_has_said(&b, 0, "two processes"));
    h.life = 5;
    assert_true(say(&h, &b.node[1].id, &fail));
    assert_true(bed_has_said(&b, 0, "two processes use the key of n1:8848"));
    struct membership_status st = bed_status(&b, 0, "n1");
    assert_non_null(strstr(st.words, "copied"));
    b.now.mono_ms += MEMBERSHIP_TWO_MS;
    assert_true(say(&h, &b.node[1].id, &fail));
    st = bed_status(&b, 0, "n1");
    assert_null(strstr(st.words, "copied"));
}

static void test_two__told_by_a_member_this_node_leaves(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct hello h = from(1);
    h.flags = HELLO_YOU_ARE_TWO;
    assert_true(say(&h, &b.node[1].id, &fail));
    assert_int_equal(b.node[0].refusals, 1);
    assert_int_equal(membership_phase(b.node[0].m), MEMBERSHIP_REFUSED);
    assert_true(membership_deadline(b.node[0].m) == UINT64_MAX);
    membership_turn(b.node[0].m, b.now);
    assert_int_equal(b.node[0].refusals, 1);
}

static void test_list__a_difference_is_named(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct hello h = from(1);
    struct member_list list;
    assert_int_equal(members_parse("x", SPAN("n0 n1"), 8848, &list, &fail), 0);
    h.list = &list;
    members_hash(&list, h.list_hash);
    assert_true(say(&h, &b.node[1].id, &fail));
    struct membership_status st = bed_status(&b, 0, "n1");
    assert_non_null(strstr(st.words, "lacks one that ours has: n2:8848"));
    h.list = NULL;
    assert_true(say(&h, &b.node[1].id, &fail));
    st = bed_status(&b, 0, "n1");
    assert_non_null(strstr(st.words, "differs"));
}

/* Idle members say hello every five seconds. */
static void test_settled__members_are_quiet(void **state)
{
    (void)state;
    bed_run(&b, 10000);
    struct membership *m = b.node[0].m;
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        if (s->is_used && !s->is_self) {
            assert_true(b.now.mono_ms - s->hello_ms <= MEMBERSHIP_HELLO_SETTLED_MS + 100);
            assert_false(membership_is_fresh(s, (struct now){.mono_ms = s->hello_ms + 4000}));
        }
    }
    uint64_t wait = membership_deadline(m) - b.now.mono_ms;
    assert_true(wait <= MEMBERSHIP_HELLO_SETTLED_MS);
    bed_kill(&b, 2);
    bed_run(&b, 3000);
    assert_true(membership_deadline(m) - b.now.mono_ms <= MEMBERSHIP_HELLO_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hello__under_another_name_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hello__of_nobody_we_know_changes_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_lives__one_that_comes_back_is_a_second_process, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_two__told_by_a_member_this_node_leaves, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_list__a_difference_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settled__members_are_quiet, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
