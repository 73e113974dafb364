#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cluster/membership_state.h"

/* One membership, its links by hand. */
static struct {
    struct membership *m;
    struct node_id id;
    struct pins pins;
    struct now now;
    struct membership_link link[SLOTS_MAX];
    size_t links;
    unsigned set_links;
} w;

static void on_set_links(void *self, const struct membership_link *list, size_t count)
{
    (void)self;
    for (size_t i = 0; i < count; i++) {
        w.link[i] = list[i];
    }
    w.links = count;
    w.set_links++;
}

static void on_send(void *self, unsigned slot, struct buf *take_hello)
{
    (void)self;
    (void)slot;
    buf_unref(take_hello);
}

static void on_save(void *self, struct buf *take_text, uint64_t version)
{
    (void)self;
    buf_unref(take_text);
    membership_on_saved(w.m, version, w.now);
}

static void on_say(void *self, enum membership_weight weight, const char *text)
{
    (void)self;
    (void)weight;
    (void)text;
}

static const struct membership_ops OPS = {
    .set_links = on_set_links, .send = on_send, .save = on_save, .say = on_say};

static void set_list(const char *text)
{
    struct member_list list;
    struct fail fail;
    assert_int_equal(members_parse("x", span_str(text), 8848, &list, &fail), 0);
    membership_set_list(w.m, &list, w.now);
    membership_turn(w.m, w.now);
}

static void start(bool has_log)
{
    static const uint8_t seed[32] = {1};
    struct fail fail;
    struct membership_options options = {.id = &w.id,
                                         .pins = &w.pins,
                                         .pins_name = "peers",
                                         .host = "a",
                                         .port = 8848,
                                         .release = "1",
                                         .has_log = has_log,
                                         .seed = seed};
    assert_int_equal(membership_create(&options, &OPS, NULL, w.now, &w.m, &fail), 0);
}

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    w.id.bytes[0] = 1;
    w.now.mono_ms = 100000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    membership_destroy(w.m);
    return 0;
}

static struct node_id key(uint8_t n)
{
    struct node_id id = {0};
    id.bytes[0] = n;
    return id;
}

/* The slot that links dial for a host; fails when there is none. */
static unsigned slot_at(const char *host)
{
    for (size_t i = 0; i < w.links; i++) {
        if (strcmp(w.link[i].host, host) == 0) {
            return w.link[i].slot;
        }
    }
    fail_msg("%s is not dialled", host);
    return 0;
}

static bool is_dialled(const char *host)
{
    for (size_t i = 0; i < w.links; i++) {
        if (strcmp(w.link[i].host, host) == 0) {
            return true;
        }
    }
    return false;
}

static void learn(const char *host, uint8_t n)
{
    struct node_id id = key(n);
    membership_on_learned(w.m, slot_at(host), &id, w.now);
    membership_turn(w.m, w.now);
}

static void advance(uint64_t ms)
{
    w.now.mono_ms += ms;
    membership_turn(w.m, w.now);
}

static void test_learned__becomes_the_links_pin_and_is_forgotten_without_a_hello(void **state)
{
    (void)state;
    start(false);
    set_list("a b c");
    assert_int_equal(w.links, 3);
    learn("b", 2);
    assert_true(node_id_eq(slot_who(&w.m->slot[slot_at("b")]), &(struct node_id){{2}}));
    assert_int_equal(membership_slot_of(w.m, node_id_number(&(struct node_id){{2}})),
                     (int)slot_at("b"));
    advance(MEMBERSHIP_GUEST_MS);
    assert_false(node_id_is_set(slot_who(&w.m->slot[slot_at("b")])));
    learn("b", 3); /* whoever is there now */
    learn("b", 4); /* late news about an empty slot */
    assert_true(node_id_eq(slot_who(&w.m->slot[slot_at("b")]), &(struct node_id){{3}}));
}

static void test_self__own_address_is_not_dialled_any_more(void **state)
{
    (void)state;
    start(false);
    set_list("a b c");
    membership_on_self(w.m, slot_at("a"), w.now);
    membership_turn(w.m, w.now);
    assert_false(is_dialled("a"));
    struct node_id own = key(1);
    membership_on_learned(w.m, slot_at("b"), &own, w.now); /* the same news in other words */
    membership_turn(w.m, w.now);
    assert_false(is_dialled("b"));
    advance(MEMBERSHIP_ALIAS_MS); /* two addresses: asked again after a while */
    assert_true(is_dialled("a"));
    assert_true(is_dialled("b"));
}

static void test_list__a_slot_number_rests_before_it_means_another_address(void **state)
{
    (void)state;
    start(false);
    set_list("a b c");
    unsigned old = slot_at("c");
    set_list("a b d");
    assert_false(is_dialled("c"));
    assert_true(slot_at("d") != old);
    learn("d", 4);
    struct node_id late = key(9);
    membership_on_learned(w.m, old, &late, w.now); /* about c */
    membership_on_up(w.m, old, &late, w.now);
    membership_on_down(w.m, old, "late", w.now);
    membership_turn(w.m, w.now);
    assert_int_equal(membership_slot_of(w.m, node_id_number(&late)), -1);
    membership_on_self(w.m, SLOTS_MAX, w.now); /* no such slot */
}

static void test_list__full_of_new_addresses_is_placed_when_numbers_have_rested(void **state)
{
    (void)state;
    char list[512] = "";
    start(false);
    for (char prefix = 'a'; prefix <= 'b'; prefix++) {
        list[0] = '\0';
        for (unsigned i = 0; i < MEMBERS_MAX; i++) {
            size_t len = strlen(list);
            (void)snprintf(list + len, sizeof(list) - len, "%c%u ", prefix, i);
        }
        set_list(list);
    }
    assert_int_equal(w.links, 0);
    assert_true(membership_deadline(w.m) <= w.now.mono_ms + MEMBERSHIP_REST_MS);
    advance(MEMBERSHIP_REST_MS);
    assert_int_equal(w.links, MEMBERS_MAX);
    assert_true(is_dialled("b31"));
}

static void test_file__pins_of_listed_addresses_are_known_at_once(void **state)
{
    (void)state;
    w.pins.count = 3;
    w.pins.list[0] = (struct pin){.slot = 5, .id = key(2), .host = "b", .port = 8848};
    w.pins.list[1] = (struct pin){.slot = 6, .id = key(3), .host = "gone", .port = 8848};
    w.pins.list[2] = (struct pin){.slot = 7, .id = key(1), .host = "c", .port = 8848};
    start(false);
    set_list("a b c");
    assert_true(node_id_eq(&w.m->slot[slot_at("b")].pin, &(struct node_id){{2}}));
    assert_false(node_id_is_set(&w.m->slot[slot_at("c")].pin)); /* our own key is no pin */
}

static const struct membership_server *servers(void)
{
    static char address[3][MEMBERSHIP_ADDRESS_MAX + 1];
    static struct membership_server list[3];
    static const char *const hosts[] = {"a", "b", "c"};
    for (uint8_t i = 0; i < 3; i++) {
        struct node_id id = key((uint8_t)(i + 1));
        membership_address_text(hosts[i], 8848, &id, address[i]);
        list[i] = (struct membership_server){node_id_number(&id), address[i], true};
    }
    return list;
}

static void test_servers__pins_come_from_the_log_and_a_removed_one_is_cut_off(void **state)
{
    (void)state;
    start(true);
    set_list("a b");
    membership_on_servers(w.m, servers(), 3, w.now);
    membership_turn(w.m, w.now);
    assert_true(node_id_eq(&w.m->slot[slot_at("b")].pin, &(struct node_id){{2}}));
    assert_true(is_dialled("c")); /* unlisted, and a server: where it was */
    membership_on_self(w.m, slot_at("a"), w.now);
    membership_turn(w.m, w.now);
    assert_true(node_id_eq(&w.m->slot[slot_at("c")].pin, &(struct node_id){{3}}));
    struct node_id c = key(3);
    assert_true(membership_is_peer(w.m, &c));
    membership_on_servers(w.m, servers(), 2, w.now);
    membership_turn(w.m, w.now);
    assert_false(membership_is_peer(w.m, &c));
    assert_true(is_dialled("c")); /* to be told that it is out */
    w.now.mono_ms += MEMBERSHIP_PART_MS;
    membership_turn(w.m, w.now);
    assert_false(is_dialled("c"));
}

static void test_servers__another_key_of_the_same_number_is_never_pinned(void **state)
{
    (void)state;
    start(true);
    set_list("a x");
    struct node_id fake = key(2);
    fake.bytes[31] = 7; /* the first bytes make the number */
    membership_on_learned(w.m, slot_at("x"), &fake, w.now);
    membership_on_servers(w.m, servers(), 3, w.now);
    membership_turn(w.m, w.now);
    assert_false(node_id_is_set(&w.m->slot[slot_at("x")].pin));
    assert_false(membership_is_peer(w.m, &fake));
}

static void start_three(void)
{
    start(true);
    set_list("a b c");
    membership_on_servers(w.m, servers(), 3, w.now);
    membership_on_self(w.m, slot_at("a"), w.now);
    membership_turn(w.m, w.now);
}

static void up(const char *host, uint8_t n)
{
    struct node_id id = key(n);
    membership_on_up(w.m, slot_at(host), &id, w.now);
    membership_turn(w.m, w.now);
}

static void test_moved__a_server_is_found_at_another_address(void **state)
{
    (void)state;
    start_three();
    set_list("a b d");
    learn("d", 3);
    assert_false(is_dialled("c"));
    assert_true(node_id_eq(&w.m->slot[slot_at("d")].pin, &(struct node_id){{3}}));
}

static void
test_moved__a_server_that_is_up_elsewhere__is_not_moved_but_called_listed_twice(void **state)
{
    (void)state;
    struct membership_status status[SLOTS_MAX];
    start_three();
    up("b", 2);
    up("c", 3);
    set_list("a b c d");
    learn("d", 3);
    assert_false(is_dialled("d"));
    assert_true(node_id_eq(&w.m->slot[slot_at("c")].pin, &(struct node_id){{3}}));
    size_t count = membership_status(w.m, status, SLOTS_MAX, w.now);
    bool is_said = false;
    for (size_t i = 0; i < count; i++) {
        bool is_d = strcmp(status[i].host, "d") == 0;
        is_said |= is_d && strstr(status[i].words, "the same node as at another address");
    }
    assert_true(is_said);
    membership_on_down(w.m, slot_at("c"), "gone", w.now);
    advance(MEMBERSHIP_ALIAS_MS); /* it is asked again: perhaps it has moved there */
    learn("d", 3);
    assert_true(node_id_eq(&w.m->slot[slot_at("d")].pin, &(struct node_id){{3}}));
}

static void test_open__a_silent_server_is_set_aside_and_comes_home(void **state)
{
    (void)state;
    start_three();
    up("b", 2);
    up("c", 3);
    unsigned old = slot_at("c");
    advance(30000);
    membership_on_down(w.m, old, "gone", w.now);
    advance(MEMBERSHIP_OPEN_MS - 1);
    assert_true(node_id_is_set(&w.m->slot[old].pin));
    advance(1);
    assert_false(node_id_is_set(slot_who(&w.m->slot[old]))); /* the address is asked */
    struct node_id c = key(3);
    assert_true(membership_is_peer(w.m, &c));
    unsigned now_at = (unsigned)membership_slot_of(w.m, node_id_number(&c));
    assert_int_equal(w.m->slot[now_at].since_ms,
                     w.now.mono_ms - MEMBERSHIP_OPEN_MS); /* gone since */
    advance(3000);
    unsigned aside = (unsigned)membership_slot_of(w.m, node_id_number(&c));
    assert_true(aside != old);
    membership_on_up(w.m, aside, &c, w.now);
    membership_turn(w.m, w.now);
    assert_int_equal(slot_at("c"), aside); /* the slot that it answered on is the listed one */
    assert_true(w.m->slot[aside].is_listed);
    assert_false(w.m->slot[old].is_used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_learned__becomes_the_links_pin_and_is_forgotten_without_a_hello, setup, teardown),
        cmocka_unit_test_setup_teardown(test_self__own_address_is_not_dialled_any_more, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_list__a_slot_number_rests_before_it_means_another_address, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_list__full_of_new_addresses_is_placed_when_numbers_have_rested, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file__pins_of_listed_addresses_are_known_at_once,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_servers__pins_come_from_the_log_and_a_removed_one_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_servers__another_key_of_the_same_number_is_never_pinned, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moved__a_server_is_found_at_another_address, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_moved__a_server_that_is_up_elsewhere__is_not_moved_but_called_listed_twice, setup,
            teardown),
        cmocka_unit_test_setup_teardown(test_open__a_silent_server_is_set_aside_and_comes_home,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
