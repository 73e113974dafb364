#include "cluster/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct form_member member(uint8_t key, const char *host)
{
    struct form_member m = {.generation = 7, .port = 8848};
    memset(m.id.bytes, key, sizeof(m.id.bytes));
    (void)snprintf(m.host, sizeof(m.host), "%s", host);
    return m;
}

static void test_add__order_does_not_matter(void **state)
{
    (void)state;
    struct form_member a = member(1, "a");
    struct form_member b = member(2, "b");
    struct form_member c = member(3, "c");
    struct form one = {0};
    struct form two = {0};
    uint8_t first[FORM_BYTES];
    uint8_t second[FORM_BYTES];
    assert_true(form_join(&one, &a) && form_join(&one, &b) && form_join(&one, &c));
    assert_true(form_join(&two, &c) && form_join(&two, &a) && form_join(&two, &b));
    form_digest(&one, first);
    form_digest(&two, second);
    assert_memory_equal(first, second, sizeof(first));
    assert_true(form_makes(&one, first));
    assert_non_null(form_find(&one, &b.id));
    assert_string_equal(form_find(&one, &b.id)->host, "b");
    two.list[1].generation++;
    form_digest(&two, second);
    assert_memory_not_equal(first, second, sizeof(first));
    assert_false(form_makes(&two, first));
}

static void test_add__a_member_or_an_address_twice_is_refused(void **state)
{
    (void)state;
    struct form f = {0};
    struct form_member a = member(1, "a");
    assert_true(form_join(&f, &a));
    assert_false(form_join(&f, &a));
    struct form_member again = member(1, "b");
    assert_false(form_join(&f, &again));
    struct form_member same_place = member(2, "a");
    assert_false(form_join(&f, &same_place));
    struct form_member never = member(3, "c");
    never.generation = 0;
    assert_false(form_join(&f, &never));
    assert_int_equal(f.count, 1);
    for (uint8_t i = 2; i <= MEMBERS_MAX; i++) {
        char host[8];
        (void)snprintf(host, sizeof(host), "h%u", i);
        struct form_member next = member(i, host);
        assert_true(form_join(&f, &next));
    }
    struct form_member last = member(99, "last");
    assert_false(form_join(&f, &last));
    assert_null(form_find(&f, &last.id));
}

static void test_makes__nobody_makes_nothing(void **state)
{
    (void)state;
    struct form none = {0};
    uint8_t digest[FORM_BYTES] = {0};
    assert_false(form_digest_is_set(digest));
    form_digest(&none, digest);
    assert_true(form_digest_is_set(digest));
    assert_false(form_makes(&none, digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add__order_does_not_matter),
        cmocka_unit_test(test_add__a_member_or_an_address_twice_is_refused),
        cmocka_unit_test(test_makes__nobody_makes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
