#include "rpc/peer_tls.h"

#include "links_rig.h"

/* What the verifiers do with real handshakes: tests/integ/rpc/test_links_*.c. */

static struct node_id id_of(unsigned char first)
{
    struct node_id id = {.bytes = {first, 1}};
    return id;
}

static struct peer_pins *make_pins(const struct node_id *own)
{
    struct peer_pins *p = peer_pins_create(own);
    struct node_id pins[LINKS_MEMBERS_MAX] = {0};
    pins[2] = id_of(2);
    pins[31] = id_of(31);
    peer_pins_set(p, pins);
    return p;
}

static void test_judge__every_verdict(void **state)
{
    (void)state;
    struct node_id own = id_of(99);
    struct node_id second = id_of(2);
    struct node_id last = id_of(31);
    struct node_id other = id_of(7);
    struct peer_pins *p = make_pins(&own);
    assert_int_equal(peer_pins_judge(p, 2, &second), PEER_OK);
    assert_int_equal(peer_pins_judge(p, 31, &last), PEER_OK);
    assert_int_equal(peer_pins_judge(p, 2, &other), PEER_OTHER);
    assert_int_equal(peer_pins_judge(p, 2, &last), PEER_OTHER);
    assert_int_equal(peer_pins_judge(p, 0, &other), PEER_CANDIDATE);
    assert_int_equal(peer_pins_judge(p, 0, &second), PEER_TAKEN);
    assert_int_equal(peer_pins_judge(p, 0, &own), PEER_SELF);
    assert_int_equal(peer_pins_judge(p, 2, &own), PEER_SELF);
    peer_pins_unref(p);
}

static void test_pins__inbound__only_those_listed_and_never_us_or_nobody(void **state)
{
    (void)state;
    struct node_id own = id_of(2); /* even when a list says so */
    struct node_id last = id_of(31);
    struct node_id other = id_of(7);
    struct node_id none = {0};
    struct peer_pins *p = make_pins(&own);
    assert_true(peer_pins_has(p, &last));
    assert_false(peer_pins_has(p, &other));
    assert_false(peer_pins_has(p, &none)); /* empty slots are all zero, too */
    assert_false(peer_pins_has(p, &own));
    struct node_id no_pins[LINKS_MEMBERS_MAX] = {0};
    peer_pins_set(p, no_pins);
    assert_false(peer_pins_has(p, &last));
    peer_pins_unref(p);
}

static void test_check__before_a_handshake__has_seen_nothing(void **state)
{
    (void)state;
    struct node_id own = id_of(1);
    struct node_id id = id_of(5);
    struct peer_pins *p = make_pins(&own);
    struct peer_check *c = peer_check_create(p, 0, true);
    peer_pins_unref(p); /* the check holds them */
    assert_int_equal(peer_check_read(c, &id), PEER_UNSEEN);
    assert_false(node_id_is_set(&id));
    peer_check_unref(c);
    peer_check_unref(NULL);
    peer_pins_unref(NULL);
}

/* Credentials that are never used give everything back. */
static void test_credentials__unused__leave_nothing(void **state)
{
    (void)state;
    grpc_init();
    struct node *n = node_open();
    struct peer_pins *p = peer_pins_create(&n->identity.id);
    struct peer_check *c = peer_check_create(p, 0, false);
    grpc_channel_credentials *client = peer_tls_client(&n->identity, c);
    grpc_server_credentials *server = peer_tls_server(&n->identity, p);
    assert_non_null(client);
    assert_non_null(server);
    peer_check_unref(c);
    peer_pins_unref(p);
    grpc_channel_credentials_release(client);
    grpc_server_credentials_release(server);
    node_close(n);
    grpc_shutdown_blocking();
}

static void test_stranger__refused__is_counted_and_remembered(void **state)
{
    (void)state;
    struct node *a = node_open();
    struct node *stranger = node_open();
    node_start(a, 0);
    struct raw_call *call = raw_open(a->port, &stranger->identity, NULL);
    (void)raw_status(call, NULL);
    assert_true(raw_saw_server(call));
    SOON(1000, links_counters(a->links)->refused_keys >= 1);
    raw_close(call);
    /* Our own key at our own door is not a stranger. */
    unsigned long before = links_counters(a->links)->refused_keys;
    call = raw_open(a->port, &a->identity, NULL);
    assert_int_not_equal(raw_status(call, NULL), GRPC_STATUS_OK);
    assert_false(raw_is_accepted(call));
    assert_true(links_counters(a->links)->refused_keys == before);
    raw_close(call);
    node_close(stranger);
    node_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge__every_verdict),
        cmocka_unit_test(test_pins__inbound__only_those_listed_and_never_us_or_nobody),
        cmocka_unit_test(test_check__before_a_handshake__has_seen_nothing),
        cmocka_unit_test(test_credentials__unused__leave_nothing),
        cmocka_unit_test(test_stranger__refused__is_counted_and_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
