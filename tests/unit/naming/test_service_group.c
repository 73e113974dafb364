/* Names of a group: of all visible services, sorted when somebody asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "naming_bed.h"

static void expect(struct bed *b, const char *const *names, size_t count)
{
    size_t got = 0;
    struct service *const *list =
        service_group_sorted(b->naming, SPAN("public"), SPAN("DEFAULT_GROUP"), &got);
    assert_int_equal(got, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(span_eq(list[i]->name.name, span_str(names[i])));
    }
    naming_check(b->naming);
}

static void test_names__are_sorted__and_go_with_their_services(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    expect(&b, NULL, 0);
    for (const char *name = "dbca"; *name; name++) {
        const char text[2] = {*name, 0};
        assert_int_equal(bed_service_put(&b, text, true, true, 0), 0);
    }
    expect(&b, (const char *[]){"a", "b", "c", "d"}, 4);
    assert_int_equal(bed_service_remove(&b, "b", true), 0);
    expect(&b, (const char *[]){"a", "c", "d"}, 3);
    bed_end(&b);
}

static void test_enlisted__before_it_exists__is_named_once(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    struct service_name name = bed_name("x");
    struct service *s = service_obtain(b.naming, &name);
    assert_null(s->group);
    service_enlist(b.naming, s);
    size_t got = 0;
    assert_ptr_equal(service_group_sorted(b.naming, SPAN("public"), SPAN("DEFAULT_GROUP"), &got)[0],
                     s);
    assert_int_equal(got, 1);
    assert_int_equal(service_groups_check(b.naming), 1);
    assert_int_equal(bed_service_put(&b, "x", true, true, 0), 0);
    expect(&b, (const char *[]){"x"}, 1);
    bed_end(&b);
}

static void test_delisted__the_last__the_group_goes(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    struct service_name name = bed_name("x");
    struct service *s = service_obtain(b.naming, &name);
    service_enlist(b.naming, s);
    service_delist(b.naming, s);
    assert_null(b.naming->groups);
    assert_null(s->group);
    assert_true(service_release(b.naming, s));
    bed_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names__are_sorted__and_go_with_their_services),
        cmocka_unit_test(test_enlisted__before_it_exists__is_named_once),
        cmocka_unit_test(test_delisted__the_last__the_group_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
