/* What a way to the others says becomes mail of the core, within its limit. */
#include "core_rig.h"

#include <string.h>

#include "base/thread.h"
#include "node/peering_state.h"

#define FRAMES 65536

/* A way that only remembers how it was made. */
struct way {
    struct links_options options;
    int err;
};

static int make_way(void *self, const struct links_options *options, struct peer_net *ret,
                    struct fail *fail)
{
    static const struct peer_net_ops none = {0};
    struct way *w = self;
    if (w->err) {
        return fail_set(fail, w->err, "the test's way is closed");
    }
    w->options = *options;
    *ret = (struct peer_net){&none, w};
    return 0;
}

struct bed {
    struct core *core;
    struct peering peers;
    struct way way;
};

static void bed_open(struct bed *b)
{
    const struct core_played played = {.seed = 1};
    struct core_options options = rig_options();
    struct fail fail = {0};
    memset(b, 0, sizeof(*b));
    options.played = &played;
    assert_int_equal(core_create(&options, &b->core, &fail), 0);
    const struct effects_edge none = {0};
    assert_int_equal(core_begin(b->core, &none, &fail), 0);
    core_step(b->core, (struct now){1000, 1700000000000});
    assert_true(core_due(b->core) > 0); /* no mail waits */
    b->peers.core = b->core;
}

static void bed_close(struct bed *b)
{
    core_stop(b->core);
    core_destroy(b->core); /* drops the mail */
}

static int make(struct bed *b)
{
    const struct peer_net_maker maker = {&b->way, make_way};
    const struct peering_options options = {.port = 8848, .bind = "127.0.0.1", .net = &maker};
    struct fail fail = {0};
    return peering_create_net(&b->peers, &options, &fail);
}

static void test_create_net__is_told_port_and_identity(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b);
    assert_int_equal(make(&b), 0);
    assert_ptr_equal(b.peers.net.self, &b.way);
    assert_int_equal(b.way.options.port, 9849);
    assert_ptr_equal(b.way.options.identity, &b.peers.identity);
    bed_close(&b);
}

static void test_create_net__fails__says_so(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b);
    b.way.err = E_IO;
    assert_int_equal(make(&b), E_IO);
    assert_null(b.peers.net.ops);
    bed_close(&b);
}

static void test_news__is_mail(void **state)
{
    (void)state;
    const struct node_id id = {{1}};
    struct bed b;
    bed_open(&b);
    assert_int_equal(make(&b), 0);
    const struct links_ops *ops = b.way.options.ops;
    char why[2 * PEERING_WHY_MAX];
    memset(why, 'w', sizeof(why));
    why[sizeof(why) - 1] = '\0';
    ops->on_up(b.way.options.self, 1, &id, 1);
    assert_int_equal(core_due(b.core), 0);
    ops->on_down(b.way.options.self, 1, why); /* cut to what a mail holds */
    ops->on_learned(b.way.options.self, 2, &id);
    ops->on_self(b.way.options.self, 3);
    bed_close(&b);
}

static void test_frames__more_than_may_wait__are_dropped(void **state)
{
    (void)state;
    const struct node_id id = {{1}};
    struct bed b;
    bed_open(&b);
    assert_int_equal(make(&b), 0);
    for (unsigned i = 0; i < FRAMES + 10; i++) {
        b.way.options.ops->on_frame(b.way.options.self, &id, PEER_ALIVE, buf_create(SPAN("x")));
    }
    assert_int_equal(atomic_load(&b.peers.frames_waiting), FRAMES);
    bed_close(&b);
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_net__is_told_port_and_identity),
        cmocka_unit_test(test_create_net__fails__says_so),
        cmocka_unit_test(test_news__is_mail),
        cmocka_unit_test(test_frames__more_than_may_wait__are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
