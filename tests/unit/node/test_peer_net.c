/* The real way to the others behind its vtable; what it does: tests/unit/rpc/test_links.c. */
#include "node/peer_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/thread.h"

struct place {
    char dir[64];
    struct identity identity;
};

static void place_open(struct place *p)
{
    struct fail fail = {0};
    bool is_new = false;
    *p = (struct place){.dir = "/tmp/nacre-net-XXXXXX"};
    assert_non_null(mkdtemp(p->dir));
    assert_int_equal(identity_open(p->dir, &p->identity, &is_new, &fail), 0);
}

static void place_close(struct place *p)
{
    static const char *const names[] = {"node.key", "node.crt"};
    char path[128];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", p->dir, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(p->dir), 0);
    identity_close(&p->identity);
}

static const struct links_ops none = {0};

static void test_links__start_send_and_stop_behind_the_vtable(void **state)
{
    (void)state;
    struct place p;
    struct fail fail = {0};
    struct peer_net net = {0};
    place_open(&p);
    struct links_options options = {.identity = &p.identity, .bind = "127.0.0.1", .ops = &none};
    assert_int_equal(peer_net_links.create(peer_net_links.self, &options, &net, &fail), 0);
    assert_int_equal(net.ops->start(net.self, &fail), 0);
    net.ops->set_members(net.self, NULL, 0);
    struct body body = {0};
    body_add_buf(&body, buf_create(SPAN("x")));
    assert_int_equal(net.ops->send(net.self, 1, 1, &body), E_CLOSED); /* nobody is there */
    char ips[1][LINK_IP_MAX];
    assert_int_equal(net.ops->addresses(net.self, ips, 1), 0);
    assert_int_equal(net.ops->counters(net.self)->frames_sent, 0);
    assert_true(net.ops->way(net.self) != NULL);
    net.ops->stop(net.self, 0);
    net.ops->destroy(net.self);
    place_close(&p);
}

static void test_links__address_of_nobody__start_says_so(void **state)
{
    (void)state;
    struct place p;
    struct fail fail = {0};
    struct peer_net net = {0};
    place_open(&p);
    struct links_options options = {.identity = &p.identity, .bind = "192.0.2.1", .ops = &none};
    assert_int_equal(peer_net_links.create(peer_net_links.self, &options, &net, &fail), 0);
    assert_int_equal(net.ops->start(net.self, &fail), E_IO);
    net.ops->destroy(net.self);
    place_close(&p);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links__start_send_and_stop_behind_the_vtable),
        cmocka_unit_test(test_links__address_of_nobody__start_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
