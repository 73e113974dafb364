/* How nodes find each other: learning on dial only, pins, second ports, ourselves. */
#include <stdio.h>
#include <stdlib.h>

#include <grpc/grpc_security.h>

#include "links_rig.h"
#include "rpc/door.h"

#define NODES 3

static void meet(struct node **nodes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        nodes[i] = node_open();
        nodes[i]->pins_learned = true;
        node_start(nodes[i], 0);
    }
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < count; j++) {
            if (i != j) {
                node_list(nodes[i], j, nodes[j]->port, 0, NULL);
            }
        }
        node_apply(nodes[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < count; j++) {
            SOON(1000, i == j || nodes[i]->slots[j].number > 0);
        }
    }
}

static void close_all(struct node **nodes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        node_close(nodes[i]);
    }
}

static void test_meet__two_that_never_met__exchange_frames_in_under_a_second(void **state)
{
    (void)state;
    struct node *nodes[2];
    uint64_t begun_ms = clock_mono_ms();
    meet(nodes, 2);
    assert_int_equal(node_send(nodes[0], 1, 1, "from 0"), 0);
    assert_int_equal(node_send(nodes[1], 0, 1, "from 1"), 0);
    SOON(1000, nodes[0]->frames == 1 && nodes[1]->frames == 1);
    uint64_t took_ms = clock_mono_ms() - begun_ms;
    print_message("two strangers met in %lu ms\n", (unsigned long)took_ms);
    assert_int_equal(nodes[0]->slots[1].learned, 1);
    assert_int_equal(nodes[1]->slots[0].learned, 1);
    assert_true(node_id_eq(&nodes[0]->slots[1].id, &nodes[1]->identity.id));
    assert_int_equal(nodes[0]->slots[1].downs, 0);
    close_all(nodes, 2);
}

static void test_meet__three_that_never_met__each_has_both(void **state)
{
    (void)state;
    struct node *nodes[NODES];
    uint64_t begun_ms = clock_mono_ms();
    meet(nodes, NODES);
    print_message("three strangers met in %lu ms\n", (unsigned long)(clock_mono_ms() - begun_ms));
    for (unsigned i = 0; i < NODES; i++) {
        for (unsigned j = 0; j < NODES; j++) {
            if (i != j) {
                assert_int_equal(node_send(nodes[i], j, 9, "hello"), 0);
            }
        }
    }
    for (unsigned i = 0; i < NODES; i++) {
        SOON(1000, nodes[i]->frames == NODES - 1);
    }
    close_all(nodes, NODES);
}

/* The one who was alone has long gone to the longest pause. It looks again when a stranger, who may
 * be the missing one, was refused. */
static void test_meet__one_comes_late__is_found_in_under_a_second(void **state)
{
    (void)state;
    uint16_t port = rig_free_port();
    struct node *early = node_open();
    early->pins_learned = true;
    node_start(early, 0);
    node_list(early, 0, port, 0, NULL);
    node_apply(early);
    uint64_t until_ms = clock_mono_ms() + 3000;
    while (rig_tick(until_ms)) {
    }
    struct node *late = node_open();
    late->pins_learned = true;
    node_start(late, port);
    node_list(late, 0, early->port, 0, NULL);
    node_apply(late);
    SOON(1000, early->slots[0].number > 0 && late->slots[0].number > 0);
    node_close(early);
    node_close(late);
}

static void test_meet__not_pinned_yet__nothing_comes_in(void **state)
{
    (void)state;
    struct node *a = node_open();
    struct node *b = node_open();
    node_start(a, 0);
    node_start(b, 0);
    node_list(a, 0, b->port, 0, NULL);
    node_list(b, 0, a->port, 0, NULL);
    node_apply(a);
    node_apply(b);
    SOON(2000, a->slots[0].learned == 1 && b->slots[0].learned == 1);
    SOON(2000, links_counters(a->links)->refused_keys > 1);
    assert_int_equal(a->slots[0].ups, 0);
    assert_int_equal(node_send(a, 0, 1, "x"), E_CLOSED);
    /* Now b takes a in: a's stream comes up before a has pinned b, and is kept when it does. */
    node_list(b, 0, a->port, 0, &a->identity.id);
    node_apply(b);
    SOON(3000, a->slots[0].number > 0);
    uint64_t number = a->slots[0].number;
    node_list(a, 0, b->port, 0, &b->identity.id);
    node_apply(a);
    SOON(3000, b->slots[0].number > 0);
    assert_true(a->slots[0].number == number);
    assert_int_equal(node_send(a, 0, 1, "x"), 0);
    SOON(1000, b->frames == 1);
    node_close(a);
    node_close(b);
}

static void test_self__own_address__is_told(void **state)
{
    (void)state;
    struct node *a = node_open();
    node_start(a, 0);
    node_list(a, 2, a->port, 0, NULL);
    node_apply(a);
    SOON(1000, a->slots[2].selves >= 1);
    assert_int_equal(a->slots[2].learned, 0);
    assert_int_equal(a->slots[2].ups, 0);
    assert_int_equal(links_counters(a->links)->refused_keys, 0);
    node_close(a);
}

/* A port that takes connections and says something that is not TLS, as clients' port does. */
static uint16_t open_plain_server(uint16_t wanted, grpc_server **ret,
                                  grpc_completion_queue **ret_cq)
{
    grpc_init();
    *ret = grpc_server_create(NULL, NULL);
    *ret_cq = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(*ret, *ret_cq, NULL);
    grpc_server_credentials *open = grpc_insecure_server_credentials_create();
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u", wanted);
    int port = grpc_server_add_http2_port(*ret, address, open);
    assert_true(port > 0);
    grpc_server_credentials_release(open);
    grpc_server_start(*ret);
    return (uint16_t)port;
}

static void close_plain_server(grpc_server *server, grpc_completion_queue *cq)
{
    grpc_server_shutdown_and_notify(server, cq, server);
    gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    (void)grpc_completion_queue_next(cq, never, NULL);
    grpc_server_destroy(server);
    grpc_completion_queue_shutdown(cq);
    (void)grpc_completion_queue_next(cq, never, NULL);
    grpc_completion_queue_destroy(cq);
    grpc_shutdown_blocking();
}

/* Without a front door, main + 1000 is clients' plain gRPC and main + 1001 is the peers'. */
static void test_second_port__is_clients__the_first_is_believed(void **state)
{
    (void)state;
    grpc_server *plain = NULL;
    grpc_completion_queue *cq = NULL;
    struct node *a = node_open();
    struct node *b = node_open();
    node_start(a, 0);
    node_start(b, 0);
    uint16_t clients = open_plain_server(0, &plain, &cq);
    node_list(a, 0, b->port, clients, NULL);
    node_list(a, 1, a->port, clients, NULL);
    node_apply(a);
    SOON(1000, a->slots[0].learned == 1);
    SOON(1000, a->slots[1].selves >= 1);
    node_close(a);
    node_close(b);
    close_plain_server(plain, cq);
}

/* Main + 1001 of one node may be main + 1000 of the next. Who answers there while main + 1000 is
 * silent is nobody's key, and not us. */
static void test_second_port__is_silent__nothing_is_learned_at_the_first(void **state)
{
    (void)state;
    struct node *a = node_open();
    struct node *b = node_open();
    node_start(a, 0);
    node_start(b, 0);
    uint16_t silent = rig_free_port();
    node_list(a, 0, b->port, silent, NULL);
    node_list(a, 1, a->port, silent, NULL);
    node_apply(a);
    uint64_t until_ms = clock_mono_ms() + 1500;
    while (rig_tick(until_ms)) {
    }
    assert_int_equal(a->slots[0].learned, 0);
    assert_int_equal(a->slots[1].selves, 0);
    /* Nodes that start open it a little later, and then it goes fast. */
    uint16_t late = rig_free_port();
    node_list(a, 2, b->port, late, NULL);
    node_apply(a);
    until_ms = clock_mono_ms() + 1000;
    while (rig_tick(until_ms)) {
    }
    grpc_server *plain = NULL;
    grpc_completion_queue *cq = NULL;
    (void)open_plain_server(late, &plain, &cq);
    SOON(600, a->slots[2].learned == 1);
    close_plain_server(plain, cq);
    node_unlist(a, 2);
    /* A known member is found there. */
    node_list(b, 0, a->port, 0, &a->identity.id);
    node_apply(b);
    node_list(a, 0, b->port, silent, &b->identity.id);
    node_apply(a);
    SOON(3000, a->slots[0].number > 0);
    node_close(a);
    node_close(b);
}

static void test_second_port__first_is_dead_or_anothers__is_used(void **state)
{
    (void)state;
    struct node *a = node_open();
    struct node *b = node_open();
    struct node *other = node_open();
    node_start(a, 0);
    node_start(b, 0);
    node_start(other, 0);
    node_list(b, 0, a->port, 0, &a->identity.id);
    node_apply(b);
    node_list(a, 0, rig_free_port(), b->port, &b->identity.id);
    node_apply(a);
    SOON(1000, a->slots[0].number > 0);
    node_list(a, 0, other->port, b->port, &b->identity.id);
    node_apply(a);
    SOON(1000, a->slots[0].ups == 2);
    assert_true(node_id_eq(&a->slots[0].id, &b->identity.id));
    assert_int_equal(a->slots[0].learned, 0);
    node_close(a);
    node_close(b);
    node_close(other);
}

static void test_second_port__empty_slot__learns_there(void **state)
{
    (void)state;
    struct node *a = node_open();
    struct node *b = node_open();
    struct node *neighbour = node_open();
    node_start(a, 0);
    node_start(b, 0);
    node_start(neighbour, 0);
    node_list(a, 0, neighbour->port, b->port, NULL);
    node_apply(a);
    SOON(1000, a->slots[0].learned == 1);
    assert_true(node_id_eq(&a->slots[0].id, &b->identity.id));
    node_close(a);
    node_close(b);
    node_close(neighbour);
}

/* Three nodes on one host with only P and P + 1000 mapped: main + 1000 is all that there is. */
static void test_door__peers_come_in_at_clients_port(void **state)
{
    (void)state;
    struct node *a = node_open();
    struct node *b = node_open();
    node_start(a, 0);
    node_start(b, 0);
    struct door *door = NULL;
    struct fail fail = {0};
    struct door_options options = {.bind = "127.0.0.1"};
    assert_int_equal(door_create(&options, &door, &fail), 0);
    struct door_way *way = links_way(b->links);
    if (!way) {
        door_destroy(door);
        node_close(a);
        node_close(b);
        skip(); /* another C-core */
    }
    door_set_peer(door, way);
    assert_int_equal(door_start(door, &fail), 0);
    a->pins_learned = true;
    node_list(a, 0, rig_free_port(), door_port(door), NULL);
    node_list(b, 0, a->port, 0, &a->identity.id);
    node_apply(b);
    node_apply(a);
    SOON(2000, a->slots[0].number > 0 && b->slots[0].number > 0);
    assert_int_equal(node_send(a, 0, 1, "through the door"), 0);
    SOON(1000, b->frames == 1);
    assert_true(door_counters(door)->peers >= 1);
    /* A stranger is refused there as well. */
    struct node *stranger = node_open();
    node_start(stranger, 0);
    node_list(stranger, 0, door_port(door), 0, &b->identity.id);
    node_apply(stranger);
    SOON(2000, links_counters(b->links)->refused_keys >= 1);
    assert_int_equal(stranger->slots[0].ups, 0);
    door_set_peer(door, NULL);
    node_close(stranger);
    node_close(b);
    door_destroy(door);
    node_close(a);
}

/* Three doors side by side, as clients' ports of neighbours are. False: these are not free. */
static bool open_doors(uint16_t first, struct door *doors[3])
{
    struct fail fail = {0};
    for (unsigned i = 0; i < 3; i++) {
        struct door_options options = {.bind = "127.0.0.1", .port = (uint16_t)(first + i)};
        if (door_create(&options, &doors[i], &fail) != 0) {
            while (i > 0) {
                door_destroy(doors[--i]);
            }
            return false;
        }
    }
    return true;
}

static uint16_t open_neighbours(struct door *doors[3])
{
    for (unsigned i = 0; i < 100; i++) {
        uint16_t first = rig_free_port();
        if (first < UINT16_MAX - 3 && open_doors(first, doors)) {
            return first;
        }
    }
    fail_msg("no three ports in a row are free");
    return 0;
}

/* Main ports 8847, 8848, 8849 of containers on one host that map P and P + 1000 only: main + 1001
 * of one is main + 1000 of the next. Nobody is taken for another. */
static void
test_neighbours__port_of_one_is_second_port_of_the_next__all_are_who_they_are(void **state)
{
    (void)state;
    struct node *nodes[3] = {0};
    struct door *doors[3] = {0};
    struct fail fail = {0};
    for (unsigned i = 0; i < 3; i++) {
        nodes[i] = node_open();
        nodes[i]->pins_learned = true;
        node_start(nodes[i], 0); /* its own peer port is not mapped: nobody dials it */
    }
    bool has_doors = links_way(nodes[0]->links) != NULL;
    uint16_t first = has_doors ? open_neighbours(doors) : 0;
    for (unsigned i = 0; has_doors && i < 3; i++) {
        door_set_peer(doors[i], links_way(nodes[i]->links));
        assert_int_equal(door_start(doors[i], &fail), 0);
    }
    for (unsigned i = 0; has_doors && i < 3; i++) {
        for (unsigned of = 0; of < 3; of++) {
            node_list(nodes[i], of, (uint16_t)(first + of + 1), (uint16_t)(first + of), NULL);
        }
        node_apply(nodes[i]);
    }
    for (unsigned i = 0; has_doors && i < 3; i++) {
        for (unsigned of = 0; of < 3; of++) {
            SOON(5000, of == i ? nodes[i]->slots[of].selves > 0 : nodes[i]->slots[of].number > 0);
            assert_true(of == i || node_id_eq(&nodes[i]->slots[of].id, &nodes[of]->identity.id));
            assert_true(of != i || nodes[i]->slots[of].learned == 0);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        if (doors[i]) {
            door_set_peer(doors[i], NULL);
        }
        node_close(nodes[i]);
        door_destroy(doors[i]);
    }
    if (!has_doors) {
        skip(); /* another C-core */
    }
}

static void test_addresses__are_those_of_members_that_proved_their_keys(void **state)
{
    (void)state;
    char ips[4][LINK_IP_MAX];
    struct node *a = node_open();
    struct node *b = node_open();
    node_start(a, 0);
    node_start(b, 0);
    assert_int_equal(links_addresses(a->links, ips, ARRAY_LEN(ips)), 0);
    node_pair(a, b);
    SOON(2000, a->slots[0].number > 0 && b->slots[0].number > 0);
    assert_int_equal(links_addresses(a->links, ips, ARRAY_LEN(ips)), 1);
    assert_string_equal(ips[0], "127.0.0.1");
    assert_int_equal(links_addresses(a->links, ips, 0), 0);
    node_unlist(a, 0);
    node_apply(a);
    assert_int_equal(links_addresses(a->links, ips, ARRAY_LEN(ips)), 0);
    node_close(b);
    node_close(a);
}

/* A node that is listed twice, or has moved: its owner knows which. */
static void test_taken__key_of_another_slot__is_told_and_not_let_in_there(void **state)
{
    (void)state;
    struct node *a = node_open();
    struct node *b = node_open();
    struct node *c = node_open();
    node_start(a, 0);
    node_start(b, 0);
    node_start(c, 0);
    node_list(a, 0, b->port, 0, &b->identity.id);
    node_list(a, 1, b->port, 0, NULL);
    node_list(a, 2, b->port, c->port, NULL); /* main + 1000 is somebody else's: b is not there */
    node_list(a, 3, b->port, rig_free_port(), NULL); /* nobody's: it cannot be told */
    node_apply(a);
    SOON(1000, a->slots[1].learned == 1 && a->slots[2].learned == 1);
    assert_true(node_id_eq(&a->slots[1].id, &b->identity.id));
    assert_true(node_id_eq(&a->slots[2].id, &c->identity.id));
    uint64_t until_ms = clock_mono_ms() + 700;
    while (rig_tick(until_ms)) {
    }
    assert_int_equal(a->slots[1].learned, 1); /* once */
    assert_int_equal(a->slots[1].ups, 0);
    assert_int_equal(a->slots[3].learned, 0);
    node_close(a);
    node_close(b);
    node_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meet__two_that_never_met__exchange_frames_in_under_a_second),
        cmocka_unit_test(test_meet__three_that_never_met__each_has_both),
        cmocka_unit_test(test_meet__one_comes_late__is_found_in_under_a_second),
        cmocka_unit_test(test_meet__not_pinned_yet__nothing_comes_in),
        cmocka_unit_test(test_self__own_address__is_told),
        cmocka_unit_test(test_second_port__is_clients__the_first_is_believed),
        cmocka_unit_test(test_second_port__is_silent__nothing_is_learned_at_the_first),
        cmocka_unit_test(test_second_port__first_is_dead_or_anothers__is_used),
        cmocka_unit_test(test_second_port__empty_slot__learns_there),
        cmocka_unit_test(test_door__peers_come_in_at_clients_port),
        cmocka_unit_test(
            test_neighbours__port_of_one_is_second_port_of_the_next__all_are_who_they_are),
        cmocka_unit_test(test_addresses__are_those_of_members_that_proved_their_keys),
        cmocka_unit_test(test_taken__key_of_another_slot__is_told_and_not_let_in_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
