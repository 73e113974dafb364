#include "rpc/listen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include <grpc/grpc.h>

#include "grpc_client.h"
#include "raw.h"
#include "rig.h"
#include "rpc/edge.h"

static struct rig *rig;
static struct client *client;

static int setup(void **state)
{
    (void)state;
    rig = rig_start(NULL);
    client = client_open(rig_port(rig), NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_close(client);
    rig_stop(rig);
    return 0;
}

/* A server of its own that never starts. */
static int bind_to(const char *bind, uint16_t port, uint16_t *ret_port, struct fail *fail)
{
    grpc_completion_queue *cq = grpc_completion_queue_create_for_next(NULL);
    struct rpc_options options = rig_rpc(rig)->options;
    grpc_server *server = listen_create_server(&options, NULL);
    grpc_server_register_completion_queue(server, cq, NULL);
    int err = listen_bind(server, bind, port, ret_port, fail);
    grpc_server_shutdown_and_notify(server, cq, NULL);
    (void)grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_server_destroy(server);
    grpc_completion_queue_shutdown(cq);
    (void)grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_completion_queue_destroy(cq);
    return err;
}

static void test_bind__port_0__says_which_one_it_got(void **state)
{
    (void)state;
    uint16_t port = 0;
    struct fail fail = {0};
    assert_int_equal(bind_to("127.0.0.1", 0, &port, &fail), 0);
    assert_true(port > 0);
    uint16_t again = 0;
    assert_int_equal(bind_to("127.0.0.1", port, &again, &fail), 0);
    assert_int_equal(again, port);
}

static void test_bind__any__and_ipv6__are_understood(void **state)
{
    (void)state;
    uint16_t port = 0;
    struct fail fail = {0};
    assert_int_equal(bind_to("0.0.0.0", 0, &port, &fail), 0);
    int err = bind_to("::1", 0, &port, &fail);
    if (err) {
        assert_non_null(strstr(fail_text(&fail), "[::1]:0")); /* a host without IPv6 */
    }
}

static void refuse(const char *bind, uint16_t port, const char *part)
{
    uint16_t got = 1;
    struct fail fail = {0};
    assert_int_equal(bind_to(bind, port, &got, &fail), E_IO);
    assert_int_equal(got, 1);
    if (!strstr(fail_text(&fail), part)) {
        fail_msg("%s is not in %s", part, fail_text(&fail));
    }
}

static void test_bind__refused__says_address_and_reason(void **state)
{
    (void)state;
    refuse("127.0.0.1", rig_port(rig), "Address already in use");
    refuse("192.0.2.77", 0, "Cannot assign requested address");
    refuse("192.0.2.77", 7, "192.0.2.77:7");
    refuse("not an address", 0, "not an IPv4 or IPv6 address");
    char longer[500];
    memset(longer, '1', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    refuse(longer, 0, "bytes long");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bind__port_0__says_which_one_it_got),
        TEST(test_bind__any__and_ipv6__are_understood),
        TEST(test_bind__refused__says_address_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
