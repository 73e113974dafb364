#include "rpc/door_way.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grpc/grpc_security.h>

static int setup(void **state)
{
    (void)state;
    grpc_init();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    grpc_shutdown_blocking();
    return 0;
}

static void end_server(grpc_server *server, grpc_completion_queue *cq)
{
    gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    grpc_server_shutdown_and_notify(server, cq, NULL);
    (void)grpc_completion_queue_next(cq, never, NULL);
    grpc_server_destroy(server);
    grpc_completion_queue_shutdown(cq);
    (void)grpc_completion_queue_next(cq, never, NULL);
    grpc_completion_queue_destroy(cq);
}

/* On a server of its own, which ends at once. */
static int open_on(struct door_way *way, struct fail *fail)
{
    grpc_arg arg = door_way_arg(way);
    grpc_channel_args args = {.num_args = 1, .args = &arg};
    grpc_server *server = grpc_server_create(&args, NULL);
    grpc_completion_queue *cq = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(server, cq, NULL);
    grpc_server_credentials *open = grpc_insecure_server_credentials_create();
    int err = door_way_open(way, server, open, fail);
    grpc_server_credentials_release(open);
    end_server(server, cq);
    return err;
}

#if NACRE_FRONT_DOOR

static void test_check__this_library__serves_what_it_is_given(void **state)
{
    (void)state;
    struct fail fail = {0};
    for (int i = 0; i < 20; i++) {
        if (door_way_check(&fail) != 0) {
            fail_msg("%s", fail_text(&fail));
        }
    }
}

static void test_check__another_version__is_refused(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(door_way_check_version("29.0.0", &fail), 0);
    assert_int_equal(door_way_check_version("29.0.1", &fail), E_UNSUPPORTED);
    assert_string_equal(fail_text(&fail), "expected gRPC core 29.0.0, found 29.0.1");
    assert_int_equal(door_way_check_version("", &fail), E_UNSUPPORTED);
}

static void test_check__objects_that_are_no_handler__are_refused(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(door_way_check_handler(NULL, &fail), E_UNSUPPORTED);
    const void *own[8] = {0};
    const void *object = &own[2];
    assert_int_equal(door_way_check_handler(&object, &fail), E_UNSUPPORTED);
    assert_string_equal(fail_text(&fail), "the handler's table is not in libgrpc.so.29");
    /* A table inside the library that belongs to another type: that of its arguments' functions has
     * no type at all before it. */
    object = (const char *)grpc_resource_quota_arg_vtable() + sizeof(void *);
    assert_int_equal(door_way_check_handler(&object, &fail), E_UNSUPPORTED);
    assert_string_equal(fail_text(&fail), "the handler's type is not ExternalConnectionHandler");
}

static void test_open__gives_a_handler(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct door_way way = {.name = DOOR_WAY_PLAIN};
    assert_int_equal(open_on(&way, &fail), 0);
    assert_non_null(way.handler);
    struct door_way peers = {.name = DOOR_WAY_PEER};
    assert_int_equal(open_on(&peers, &fail), 0);
    assert_non_null(peers.handler);
}

#define TESTS                                                                                      \
    TEST(test_check__this_library__serves_what_it_is_given),                                       \
        TEST(test_check__another_version__is_refused),                                             \
        TEST(test_check__objects_that_are_no_handler__are_refused),                                \
        TEST(test_open__gives_a_handler)

#else

static void test_check__compiled_out__says_so(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(door_way_check(&fail), E_UNSUPPORTED);
    assert_non_null(strstr(fail_text(&fail), "NACRE_FRONT_DOOR"));
    assert_int_equal(door_way_check_version("29.0.0", &fail), E_UNSUPPORTED);
    assert_int_equal(door_way_check_handler(&fail, &fail), E_UNSUPPORTED);
    struct door_way way = {.name = DOOR_WAY_PLAIN};
    assert_int_equal(open_on(&way, &fail), E_UNSUPPORTED);
    assert_null(way.handler);
}

#define TESTS TEST(test_check__compiled_out__says_so)

#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TESTS};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
