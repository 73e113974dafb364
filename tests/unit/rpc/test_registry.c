#include "rpc/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc_client.h"
#include "raw.h"
#include "rig.h"
#include "rpc/edge.h"

#include "rpc/stream.h"

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

static void test_take__known_and_unknown__in_one_go(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    struct registry *registry = rig_rpc(rig)->registry;
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    uint64_t keys[] = {key + 5, key, 0, key};
    struct stream *found[4];
    registry_take(registry, keys, 4, found);
    assert_null(found[0]);
    assert_non_null(found[1]);
    assert_null(found[2]);
    assert_ptr_equal(found[3], found[1]);
    assert_true(stream_peer(found[1])->key == key);
    assert_int_equal(registry_count(registry), 1);
    client_stream_close(s);
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    assert_int_equal(registry_count(registry), 0);
    /* What was taken outlives the registry's own reference. */
    assert_true(stream_peer(found[1])->key == key);
    stream_unref(found[1]);
    stream_unref(found[3]);
}

static void test_add_and_remove__of_a_second_key__counts(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    struct stream *found = NULL;
    registry_take(rig_rpc(rig)->registry, &key, 1, &found);
    struct registry *other = registry_create();
    registry_add(other, 7, found);
    assert_int_equal(registry_count(other), 1);
    registry_remove(other, 8);
    registry_remove(other, 7);
    registry_remove(other, 7);
    assert_int_equal(registry_count(other), 0);
    registry_destroy(other);
    registry_destroy(NULL);
    stream_unref(found);
    client_stream_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_take__known_and_unknown__in_one_go),
        TEST(test_add_and_remove__of_a_second_key__counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
