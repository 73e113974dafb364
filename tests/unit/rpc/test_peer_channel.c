#include "rpc/peer_channel.h"

#include <stdio.h>

#include "links_rig.h"

/* When a channel may go on under a new list, and what it does of itself. The queue is turned by
 * hand, as in test_peer_dial.c. What it does with ports and time: tests/integ/rpc/test_links_*.c.
 */

static struct node *server;
static struct node *client;
static char host[] = "127.0.0.1";
static unsigned ups;
static unsigned downs;

static void on_up(void *self, unsigned slot, const struct node_id *id, uint64_t number)
{
    (void)self;
    (void)id;
    assert_int_equal(slot, 3);
    assert_int_equal(number, 1);
    ups++;
}

static void on_down(void *self, unsigned slot, const char *why)
{
    (void)self;
    assert_int_equal(slot, 3);
    assert_string_equal(why, "the reason");
    downs++;
}

static void on_learned(void *self, unsigned slot, const struct node_id *id)
{
    (void)self;
    (void)slot;
    assert_true(node_id_eq(id, &server->identity.id));
}

static int setup(void **state)
{
    (void)state;
    ups = 0;
    downs = 0;
    server = node_open();
    client = node_open();
    node_start(server, 0);
    node_list(server, 0, rig_free_port(), 0, &client->identity.id);
    node_apply(server);
    static const struct links_ops ops = {
        .on_up = on_up, .on_down = on_down, .on_learned = on_learned};
    struct links_options options = {
        .identity = &client->identity, .bind = "127.0.0.1", .ops = &ops};
    struct fail fail = {0};
    assert_int_equal(links_create(&options, &client->links, &fail), 0);
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

static void turn(void)
{
    gpr_timespec until =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(5, GPR_TIMESPAN));
    grpc_event event = grpc_completion_queue_next(client->links->queue.cq, until, NULL);
    assert_int_equal(event.type, GRPC_OP_COMPLETE);
    struct tag *tag = event.tag;
    tag->fn(tag, event.success != 0);
}

static void turn_out(void)
{
    while (!life_wait(&client->links->life, 0)) {
        turn();
    }
}

static struct listed listed(uint16_t port, const struct node_id *pin)
{
    struct listed m = {.host = host, .port = port};
    if (pin) {
        m.pin = *pin;
    }
    return m;
}

/* As links_set_members leaves it. */
static void list(const struct listed *m)
{
    client->links->listed[3] = *m;
    struct node_id pins[LINKS_MEMBERS_MAX] = {0};
    pins[3] = m->pin;
    peer_pins_set(client->links->pins, pins);
}

static struct peer_channel *bring_up(const struct listed *m)
{
    list(m);
    struct peer_channel *c = peer_channel_create(client->links, 3, m);
    while (ups == 0) {
        turn();
    }
    assert_true(client->links->out[3].is_open);
    return c;
}

static void put_away(struct peer_channel *c)
{
    peer_channel_destroy(c);
    turn_out();
    client->links->listed[3] = (struct listed){0}; /* host is ours */
    assert_false(client->links->out[3].is_open);
}

static void test_fits__addresses_and_pin__decide(void **state)
{
    (void)state;
    const struct node_id *id = &server->identity.id;
    struct node_id other = {.bytes = {1}};
    struct listed m = listed(server->port, id);
    struct peer_channel *c = bring_up(&m);
    assert_true(peer_channel_fits(c, &m));
    struct listed changed = m;
    changed.port_second = 9;
    assert_false(peer_channel_fits(c, &changed));
    changed = listed(1, id);
    assert_false(peer_channel_fits(c, &changed));
    char elsewhere[] = "127.0.0.2";
    changed = m;
    changed.host = elsewhere;
    assert_false(peer_channel_fits(c, &changed));
    changed = listed(server->port, &other);
    assert_false(peer_channel_fits(c, &changed));
    changed = listed(server->port, NULL); /* the pin was taken away */
    assert_false(peer_channel_fits(c, &changed));
    /* The list named somebody else in between. */
    client->links->out[3].is_open = false;
    assert_false(peer_channel_fits(c, &m));
    put_away(c);
}

static void test_fits__candidate_that_becomes_the_pin__keeps_its_stream(void **state)
{
    (void)state;
    struct node_id other = {.bytes = {1}};
    struct listed m = listed(server->port, NULL);
    struct peer_channel *c = bring_up(&m);
    struct listed pinned = listed(server->port, &server->identity.id);
    assert_true(peer_channel_fits(c, &m));
    assert_true(peer_channel_fits(c, &pinned));
    struct listed wrong = listed(server->port, &other);
    assert_false(peer_channel_fits(c, &wrong));
    peer_channel_pin(c, &pinned.pin);
    assert_false(peer_channel_fits(c, &m));
    assert_true(peer_channel_fits(c, &pinned));
    put_away(c);
}

static void test_down__told_only_when_it_was_up(void **state)
{
    (void)state;
    struct listed m = listed(server->port, &server->identity.id);
    list(&m);
    struct peer_channel *c = peer_channel_create(client->links, 3, &m);
    peer_channel_tell_down(c, "the reason");
    assert_int_equal(downs, 0);
    while (ups == 0) {
        turn();
    }
    peer_channel_tell_down(c, "the reason");
    assert_int_equal(downs, 1);
    put_away(c);
}

static void test_hear__while_up_or_of_somebody_else__changes_nothing(void **state)
{
    (void)state;
    struct node_id other = {.bytes = {1}};
    struct listed m = listed(server->port, &server->identity.id);
    struct peer_channel *c = bring_up(&m);
    peer_channel_hear(c, &m.pin);
    peer_channel_hear(c, &other);
    assert_int_equal(client->links->streams, 1);
    put_away(c);
}

static void test_finish__without_a_stream__hangs_up(void **state)
{
    (void)state;
    struct listed m = listed(rig_free_port(), &server->identity.id);
    list(&m);
    struct peer_channel *c = peer_channel_create(client->links, 3, &m);
    peer_channel_finish(c);
    turn_out();
    assert_int_equal(ups + downs, 0);
    put_away(c);
}

static void test_finish__with_frames__sends_them_first(void **state)
{
    (void)state;
    struct listed m = listed(server->port, &server->identity.id);
    struct peer_channel *c = bring_up(&m);
    for (unsigned i = 0; i < 3000; i++) {
        struct body body = {0};
        struct link_out *out = &client->links->out[3];
        struct link_frame *f = link_frame_create(5, &body);
        f->next = out->first;
        out->last = out->last ? out->last : f;
        out->first = f;
        out->bytes += sizeof(*f);
    }
    peer_channel_finish(c);
    turn_out();
    assert_true(server->frames == 3000);
    assert_int_equal(client->links->out[3].bytes, 0);
    assert_int_equal(downs, 0);
    put_away(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        WITH(test_fits__addresses_and_pin__decide),
        WITH(test_fits__candidate_that_becomes_the_pin__keeps_its_stream),
        WITH(test_down__told_only_when_it_was_up),
        WITH(test_hear__while_up_or_of_somebody_else__changes_nothing),
        WITH(test_finish__without_a_stream__hangs_up),
        WITH(test_finish__with_frames__sends_them_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
