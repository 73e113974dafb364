#include "rpc/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct api_row NAMING[] = {{.name = "InstanceRequest"},
                                        {.name = "ServiceQueryRequest"}};
static const struct api_row OTHER[] = {{.name = "OtherRequest"}};
static int read_self;
static int admit_self;

static struct types *make(void)
{
    const struct api_rows features[] = {
        {.rpc = NAMING, .rpc_count = 2, .read_self = &read_self, .admit_self = &admit_self},
        {.rpc = OTHER, .rpc_count = 1},
    };
    return types_create(features, 2);
}

static void test_find__rows_and_own__have_their_kind(void **state)
{
    (void)state;
    struct types *t = make();
    const struct type *type = types_find(t, SPAN("ServiceQueryRequest"));
    assert_non_null(type);
    assert_int_equal(type->kind, TYPE_ROW);
    assert_ptr_equal(type->row, &NAMING[1]);
    assert_ptr_equal(type->read_self, &read_self);
    assert_ptr_equal(type->admit_self, &admit_self);
    assert_ptr_equal(types_find(t, SPAN("OtherRequest"))->row, &OTHER[0]);
    assert_int_equal(types_find(t, SPAN("ServerCheckRequest"))->kind, TYPE_SERVER_CHECK);
    assert_int_equal(types_find(t, SPAN("HealthCheckRequest"))->kind, TYPE_HEALTH_CHECK);
    assert_int_equal(types_find(t, SPAN("DistroDataRequest"))->kind, TYPE_CLUSTER_ONLY);
    types_destroy(t);
}

static void test_find__unknown__is_null(void **state)
{
    (void)state;
    struct types *t = make();
    assert_null(types_find(t, SPAN("ConfigQueryRequest")));
    assert_null(types_find(t, SPAN("PushAckRequest")));
    assert_null(types_find(t, SPAN("instanceRequest")));
    assert_null(types_find(t, SPAN("InstanceRequestX")));
    assert_null(types_find(t, (struct span){0}));
    types_destroy(t);
    types_destroy(NULL);
}

static void test_count__adds_to_its_own_type(void **state)
{
    (void)state;
    struct types *t = make();
    type_count(types_find(t, SPAN("InstanceRequest")), true, 5);
    type_count(types_find(t, SPAN("InstanceRequest")), false, 7);
    type_count(types_find(t, SPAN("DistroDataRequest")), false, 7); /* has no figures */
    size_t count = 0;
    const struct rpc_row_stats *stats = types_stats(t, &count);
    assert_int_equal(count, 5); /* three rows, server check, health check */
    for (size_t i = 0; i < count; i++) {
        bool own = strcmp(stats[i].type, "InstanceRequest") == 0;
        assert_int_equal(stats[i].ok, own ? 1 : 0);
        assert_int_equal(stats[i].failed, own ? 1 : 0);
        assert_int_equal(stats[i].nanos, own ? 12 : 0);
    }
    types_destroy(t);
}

static void test_create__without_features__knows_its_own(void **state)
{
    (void)state;
    struct types *t = types_create(NULL, 0);
    assert_non_null(types_find(t, SPAN("ServerCheckRequest")));
    types_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find__rows_and_own__have_their_kind),
        cmocka_unit_test(test_find__unknown__is_null),
        cmocka_unit_test(test_count__adds_to_its_own_type),
        cmocka_unit_test(test_create__without_features__knows_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
