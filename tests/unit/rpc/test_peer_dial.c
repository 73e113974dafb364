#include "rpc/peer_dial.h"

#include <stdio.h>

#include "links_rig.h"

/* Links that were not started lend their queue: the test turns it by hand, so that each step of a
 * dial can be seen. The other end is a node. */

static struct node *server;
static struct node *client;
static struct peer_address to;

static struct {
    unsigned accepted;
    unsigned sent;
    unsigned ended;
    struct node_id id;
    bool is_no_peer;
    char why[512];
} seen;

static void on_accepted(void *owner, const struct node_id *id)
{
    (void)owner;
    seen.accepted++;
    seen.id = *id;
}

static void on_sent(void *owner)
{
    (void)owner;
    seen.sent++;
}

static void on_ended(void *owner, const struct peer_dial *d)
{
    (void)owner;
    seen.ended++;
    seen.is_no_peer = peer_dial_is_no_peer(d);
    peer_dial_explain(d, &to, seen.why, sizeof(seen.why));
}

static const struct peer_dial_ops ops = {on_accepted, on_sent, on_ended};

static int setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof(seen));
    server = node_open();
    client = node_open();
    node_start(server, 0);
    node_list(server, 0, rig_free_port(), 0, &client->identity.id);
    node_apply(server);
    struct links_options options = {
        .identity = &client->identity, .bind = "127.0.0.1", .ops = &(struct links_ops){0}};
    struct fail fail = {0};
    assert_int_equal(links_create(&options, &client->links, &fail), 0);
    to = (struct peer_address){
        .host = "127.0.0.1", .port = server->port, .port_other = 7, .pin = server->identity.id};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    links_destroy(client->links);
    client->links = NULL;
    node_close(client);
    node_close(server);
    return 0;
}

static void set_pin(const struct node_id *pin)
{
    struct node_id pins[LINKS_MEMBERS_MAX] = {0};
    pins[3] = *pin;
    peer_pins_set(client->links->pins, pins);
}

static struct peer_dial *dial(bool may_learn)
{
    int owner = 0;
    return peer_dial_create(client->links, 3, &to, may_learn, &ops, &owner);
}

/* One completion. */
static void turn(void)
{
    gpr_timespec until =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(5, GPR_TIMESPAN));
    grpc_event event = grpc_completion_queue_next(client->links->queue.cq, until, NULL);
    assert_int_equal(event.type, GRPC_OP_COMPLETE);
    struct tag *tag = event.tag;
    tag->fn(tag, event.success != 0);
}

/* Until all of its batches came back. */
static void turn_out(void)
{
    while (!life_wait(&client->links->life, 0)) {
        turn();
    }
}

static void expect_end(const char *why)
{
    turn_out();
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.accepted, 0);
    if (!strstr(seen.why, why)) {
        fail_msg("expected \"%s\", got: %s", why, seen.why);
    }
}

static void test_dial__pinned__is_accepted_sends_and_closes(void **state)
{
    (void)state;
    set_pin(&server->identity.id);
    struct peer_dial *d = dial(false);
    assert_false(peer_dial_is_idle(d)); /* the hello */
    while (seen.accepted == 0) {
        turn();
    }
    while (!peer_dial_is_idle(d)) {
        turn();
    }
    assert_true(node_id_eq(&seen.id, &server->identity.id));
    assert_int_equal(peer_dial_number(d), 1);
    struct body body = {0};
    struct link_frame *frames = link_frame_create(9, &body);
    size_t count = 0;
    size_t bytes = 0;
    unsigned sent = seen.sent;
    peer_dial_send(d, link_write_frames(&frames, &count, &bytes));
    assert_false(peer_dial_is_idle(d));
    while (seen.sent == sent) {
        turn();
    }
    SOON(1000, server->frames == 1);
    assert_true(peer_dial_is_idle(d));
    peer_dial_close(d);
    turn_out();
    assert_int_equal(seen.ended, 1);
}

static void test_dial__dropped__says_nothing_more(void **state)
{
    (void)state;
    set_pin(&server->identity.id);
    peer_dial_drop(dial(false));
    turn_out();
    assert_int_equal(seen.ended + seen.accepted + seen.sent, 0);
    peer_dial_drop(NULL);
}

static void test_dial__expired__says_that_nobody_answered(void **state)
{
    (void)state;
    struct relay *relay = relay_open(server->port);
    relay_freeze(relay);
    to.port = relay_port(relay);
    set_pin(&server->identity.id);
    peer_dial_expire(dial(false));
    expect_end("no answer from 127.0.0.1:");
    relay_close(relay);
}

static void test_dial__nobody_listens__says_so(void **state)
{
    (void)state;
    to.port = rig_free_port();
    (void)dial(true);
    expect_end("Connection refused");
    assert_false(seen.is_no_peer);
}

static void test_dial__another_key__names_both(void **state)
{
    (void)state;
    struct node_id other = {.bytes = {0xab, 0xcd}};
    set_pin(&other);
    to.pin = other;
    (void)dial(false);
    expect_end("another key answers at 127.0.0.1:");
    assert_non_null(strstr(seen.why, "expected abcd000000000000, found "));
    assert_non_null(strstr(seen.why, "data directory was replaced"));
}

static void test_dial__empty_slot_that_must_not_learn__is_doubtful(void **state)
{
    (void)state;
    (void)dial(false);
    expect_end("both ports must be open");
    assert_non_null(strstr(seen.why, "but none at port 7"));
}

static void test_dial__they_do_not_know_us__is_told_apart(void **state)
{
    (void)state;
    node_unlist(server, 0);
    node_apply(server);
    struct peer_dial *d = dial(true);
    struct node_id id = {0};
    while (seen.ended == 0) {
        turn();
        if (seen.ended == 0 && peer_dial_verdict(d, &id) != PEER_UNSEEN) {
            assert_int_equal(peer_dial_verdict(d, &id), PEER_CANDIDATE);
        }
    }
    expect_end("does not know this node's key");
}

static void test_dial__own_key__is_self(void **state)
{
    (void)state;
    struct node *mirror = node_open();
    identity_close(&mirror->identity);
    mirror->identity = client->identity; /* a copied data directory */
    node_start(mirror, 0);
    to.port = mirror->port;
    (void)dial(true);
    expect_end("this node itself answers at 127.0.0.1:");
    node_stop(mirror, 0);
    mirror->identity = (struct identity){0};
    node_close(mirror);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        WITH(test_dial__pinned__is_accepted_sends_and_closes),
        WITH(test_dial__dropped__says_nothing_more),
        WITH(test_dial__expired__says_that_nobody_answered),
        WITH(test_dial__nobody_listens__says_so),
        WITH(test_dial__another_key__names_both),
        WITH(test_dial__empty_slot_that_must_not_learn__is_doubtful),
        WITH(test_dial__they_do_not_know_us__is_told_apart),
        WITH(test_dial__own_key__is_self),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
