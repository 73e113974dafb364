#include "cluster/owners.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct memory {
    char bytes[4096];
    size_t len, at;
};

static int put(void *self, struct span bytes, struct fail *fail)
{
    struct memory *m = self;
    (void)fail;
    assert_true(m->len + bytes.len <= sizeof(m->bytes));
    memcpy(m->bytes + m->len, bytes.data, bytes.len);
    m->len += bytes.len;
    return 0;
}

static int get(void *self, void *dst, size_t len, struct fail *fail)
{
    struct memory *m = self;
    if (m->at + len > m->len) {
        return fail_set(fail, E_PARSE, "the end");
    }
    memcpy(dst, m->bytes + m->at, len);
    m->at += len;
    return 0;
}

static void test_take__each_once_and_in_order(void **state)
{
    (void)state;
    struct owners o = {0};
    assert_int_equal(owners_take(&o, 7, 1, 0, 1), OWNERS_STALE); /* nobody knows it */
    assert_true(owners_up(&o, 7, 1));
    assert_int_equal(owners_take(&o, 7, 1, 0, 1), OWNERS_TAKE);
    assert_int_equal(owners_take(&o, 7, 1, 0, 1), OWNERS_TWICE);
    assert_int_equal(owners_take(&o, 7, 1, 2, 3), OWNERS_GAP);
    assert_int_equal(owners_take(&o, 7, 1, 1, 2), OWNERS_TAKE);
    assert_int_equal(owners_take(&o, 7, 1, 2, 3), OWNERS_TAKE);
    assert_int_equal(owners_take(&o, 7, 2, 3, 4), OWNERS_STALE); /* a life that has not begun */
}

static void test_take__behind_a_refused_one__either_order_is_right(void **state)
{
    (void)state;
    struct owners o = {0};
    assert_true(owners_up(&o, 7, 1));
    assert_int_equal(owners_take(&o, 7, 1, 0, 1), OWNERS_TAKE);
    /* 2 was refused to its client, so 3 follows 1; 2 stands in the log all the same. */
    struct owners other = o;
    assert_int_equal(owners_take(&o, 7, 1, 1, 3), OWNERS_TAKE);
    assert_int_equal(owners_take(&o, 7, 1, 1, 2), OWNERS_TWICE);
    assert_int_equal(owners_take(&other, 7, 1, 1, 2), OWNERS_TAKE);
    assert_int_equal(owners_take(&other, 7, 1, 1, 3), OWNERS_TAKE);
}

static void test_up__a_new_life__ends_the_old_one(void **state)
{
    (void)state;
    struct owners o = {0};
    assert_true(owners_up(&o, 7, 5));
    assert_int_equal(owners_take(&o, 7, 5, 0, 1), OWNERS_TAKE);
    assert_false(owners_up(&o, 7, 5));
    assert_false(owners_up(&o, 7, 4));
    assert_true(owners_up(&o, 7, 6));
    assert_int_equal(owners_take(&o, 7, 5, 1, 2), OWNERS_STALE);
    assert_int_equal(owners_take(&o, 7, 6, 0, 1), OWNERS_TAKE);
    assert_false(owners_up(&o, 0, 1));
    assert_false(owners_up(&o, 8, 0));
}

static void test_expire__only_the_present_life(void **state)
{
    (void)state;
    struct owners o = {0};
    assert_true(owners_up(&o, 7, 5));
    assert_false(owners_expire(&o, 7, 4));
    assert_false(owners_expire(&o, 8, 5));
    assert_true(owners_expire(&o, 7, 5));
    assert_false(owners_expire(&o, 7, 5));
    assert_int_equal(owners_take(&o, 7, 5, 0, 1), OWNERS_STALE);
    assert_true(owners_up(&o, 7, 6));
    assert_int_equal(owners_take(&o, 7, 6, 0, 1), OWNERS_TAKE);
    owners_forget(&o, 7);
    owners_forget(&o, 7);
    assert_null(owners_find(&o, 7));
}

static void test_table__is_bounded_and_sorted(void **state)
{
    (void)state;
    struct owners o = {0};
    for (uint64_t id = OWNERS_MAX; id > 0; id--) {
        assert_true(owners_up(&o, id, 1));
    }
    assert_false(owners_up(&o, OWNERS_MAX + 1, 1));
    for (size_t i = 1; i < o.count; i++) {
        assert_true(o.list[i - 1].id < o.list[i].id);
    }
    assert_non_null(owners_find(&o, 13));
    assert_null(owners_find(&o, OWNERS_MAX + 1));
}

static void test_save__comes_back_and_damage_is_refused(void **state)
{
    (void)state;
    struct owners o = {0};
    struct owners again = {0};
    struct fail fail = {0};
    struct memory m = {.len = 0};
    struct byte_sink sink = {&m, put};
    struct byte_source source = {&m, get};
    assert_true(owners_up(&o, 7, 5));
    assert_true(owners_up(&o, 3, 9));
    assert_int_equal(owners_take(&o, 7, 5, 0, 4), OWNERS_TAKE);
    assert_true(owners_expire(&o, 3, 9));
    assert_int_equal(owners_save(&o, &sink, &fail), 0);
    assert_int_equal(owners_load(&again, &source, &fail), 0);
    assert_int_equal(again.count, 2);
    assert_true(owners_find(&again, 7)->last_seq == 4);
    assert_true(owners_find(&again, 3)->is_expired);
    for (size_t len = 0; len < m.len; len++) {
        struct memory cut = m;
        cut.at = 0;
        cut.len = len;
        struct byte_source from = {&cut, get};
        assert_int_equal(owners_load(&again, &from, &fail), E_PARSE);
    }
    m.at = 0;
    m.bytes[0] = OWNERS_MAX + 1;
    assert_int_equal(owners_load(&again, &source, &fail), E_PARSE);
    assert_int_equal(again.count, 2); /* untouched */
}

static void test_digest__follows_every_field(void **state)
{
    (void)state;
    struct owners o = {0};
    struct owners other = {0};
    uint64_t empty = owners_digest(&o);
    assert_true(owners_up(&o, 7, 5));
    assert_true(owners_up(&other, 7, 5));
    assert_true(owners_digest(&o) == owners_digest(&other));
    assert_true(owners_digest(&o) != empty);
    assert_int_equal(owners_take(&o, 7, 5, 0, 1), OWNERS_TAKE);
    assert_true(owners_digest(&o) != owners_digest(&other));
    assert_int_equal(owners_take(&other, 7, 5, 0, 1), OWNERS_TAKE);
    assert_true(owners_digest(&o) == owners_digest(&other));
    assert_true(owners_expire(&o, 7, 5));
    assert_true(owners_digest(&o) != owners_digest(&other));
    assert_true(owners_up(&o, 7, 6));
    assert_true(owners_digest(&o) != owners_digest(&other));
    owners_forget(&o, 7);
    assert_true(owners_digest(&o) == empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take__each_once_and_in_order),
        cmocka_unit_test(test_take__behind_a_refused_one__either_order_is_right),
        cmocka_unit_test(test_up__a_new_life__ends_the_old_one),
        cmocka_unit_test(test_expire__only_the_present_life),
        cmocka_unit_test(test_table__is_bounded_and_sorted),
        cmocka_unit_test(test_save__comes_back_and_damage_is_refused),
        cmocka_unit_test(test_digest__follows_every_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
