#include "rpc/links.h"

#include <stdio.h>

#include "base/mem.h"
#include "links_rig.h"
#include "rpc/links_edge.h"

/* Life and limits without a network; with one: tests/integ/rpc/test_links_*.c. */

static void never_frame(void *self, const struct node_id *from, unsigned kind,
                        struct buf *take_bytes)
{
    (void)self;
    (void)from;
    (void)kind;
    buf_unref(take_bytes);
    fail();
}

static void ignore_up(void *self, unsigned slot, const struct node_id *id, uint64_t number)
{
    (void)self;
    (void)slot;
    (void)id;
    (void)number;
}

static void ignore_down(void *self, unsigned slot, const char *why)
{
    (void)self;
    (void)slot;
    (void)why;
}

static void ignore_learned(void *self, unsigned slot, const struct node_id *id)
{
    (void)self;
    (void)slot;
    (void)id;
}

static void ignore_self(void *self, unsigned slot)
{
    (void)self;
    (void)slot;
}

static const struct links_ops ops = {never_frame, ignore_up, ignore_down, ignore_learned,
                                     ignore_self};

static struct links *create(const struct node *n, const char *bind, uint16_t port)
{
    struct links_options options = {
        .identity = &n->identity, .bind = bind, .port = port, .ops = &ops};
    struct links *l = NULL;
    struct fail fail = {0};
    assert_int_equal(links_create(&options, &l, &fail), 0);
    return l;
}

static void test_create__never_started__is_destroyed(void **state)
{
    (void)state;
    struct node *n = node_open();
    struct links *l = create(n, "127.0.0.1", 0);
    struct link_member member = {.slot = 3, .host = "127.0.0.1", .port = 1};
    links_set_members(l, &member, 1);
    links_set_members(l, NULL, 0);
    struct body body = {0};
    body_add_buf(&body, buf_create(SPAN("x")));
    assert_int_equal(links_send(l, 3, 1, &body), E_CLOSED);
    assert_int_equal(body.parts, 0);
    links_stop(l, 1000);
    links_destroy(l);
    links_destroy(NULL);
    node_close(n);
}

static void test_start__port_in_use__says_which_and_what_to_do(void **state)
{
    (void)state;
    struct node *n = node_open();
    struct links *first = create(n, "127.0.0.1", 0);
    struct fail fail = {0};
    assert_int_equal(links_start(first, &fail), 0);
    assert_true(links_port(first) > 0);
    struct links *second = create(n, "127.0.0.1", links_port(first));
    struct link_member member = {.slot = 0, .host = "127.0.0.1", .port = links_port(first)};
    links_set_members(second, &member, 1);
    assert_int_equal(links_start(second, &fail), E_IO);
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "127.0.0.1:%u: another process listens there",
                   links_port(first));
    assert_non_null(strstr(fail.text, expected));
    /* It can be tried again. */
    links_stop(first, 0);
    links_destroy(first);
    assert_int_equal(links_start(second, &fail), 0);
    links_destroy(second);
    node_close(n);
}

static void test_start__no_address__says_so(void **state)
{
    (void)state;
    struct node *n = node_open();
    struct fail fail = {0};
    struct links *l = create(n, "192.0.2.1", 0);
    assert_int_equal(links_start(l, &fail), E_IO);
    assert_non_null(strstr(fail.text, "cannot listen for peers on 192.0.2.1:0"));
    links_destroy(l);
    node_close(n);
}

static void test_start__any_family_and_ipv6__listen(void **state)
{
    (void)state;
    static const char *const binds[] = {"0.0.0.0", "::"};
    for (size_t i = 0; i < ARRAY_LEN(binds); i++) {
        struct node *n = node_open();
        struct fail fail = {0};
        struct links *l = create(n, binds[i], 0);
        assert_int_equal(links_start(l, &fail), 0);
        assert_true(links_port(l) > 0);
        links_stop(l, 100);
        links_stop(l, 100); /* again is nothing */
        links_destroy(l);
        node_close(n);
    }
}

static void test_members__all_slots__are_dialled_and_dropped(void **state)
{
    (void)state;
    struct node *n = node_open();
    struct fail fail = {0};
    struct links *l = create(n, "127.0.0.1", 0);
    assert_int_equal(links_start(l, &fail), 0);
    uint16_t port = rig_free_port();
    struct link_member list[LINKS_MEMBERS_MAX];
    for (unsigned i = 0; i < LINKS_MEMBERS_MAX; i++) {
        list[i] = (struct link_member){.slot = LINKS_MEMBERS_MAX - 1 - i,
                                       .host = "127.0.0.1",
                                       .port = port,
                                       .port_second = port};
    }
    for (size_t count = LINKS_MEMBERS_MAX; count > 0; count /= 2) {
        links_set_members(l, list, count);
    }
    links_stop(l, 1000);
    links_destroy(l);
    node_close(n);
}

static void test_target__hosts_of_every_kind(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        const char *host;
        const char *target;
    } rows[] = {
        {"dns:///", "10.0.0.7", "dns:///10.0.0.7:9849"},
        {"dns:///", "db-1.example", "dns:///db-1.example:9849"},
        {"", "::1", "[::1]:9849"},
        {"", "0.0.0.0", "0.0.0.0:9849"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *target = links_target(rows[i].prefix, rows[i].host, 9849);
        assert_string_equal(target, rows[i].target);
        mem_free(target);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create__never_started__is_destroyed),
        cmocka_unit_test(test_start__port_in_use__says_which_and_what_to_do),
        cmocka_unit_test(test_start__no_address__says_so),
        cmocka_unit_test(test_start__any_family_and_ipv6__listen),
        cmocka_unit_test(test_members__all_slots__are_dialled_and_dropped),
        cmocka_unit_test(test_target__hosts_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
