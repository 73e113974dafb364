/* What a node shows is what it will have when the log has taken what it proposed, whatever happens
 * on other nodes meanwhile; and when the log takes it, nobody sees a difference. Random, from fixed
 * seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "naming/naming_op.h"
#include "naming/pending.h"
#include "naming/react.h"
#include "naming_cluster.h"
#include "snapshot_bed.h"

#define SERVICES 3
#define CONNS 6
#define HTTPS 3
#define SEEDS 60
#define STEPS 120

static const char *const services[SERVICES] = {"a", "b", "c"};

struct model {
    struct cluster c;
    uint64_t random;
    struct {
        size_t node;
        uint64_t conn;
    } conns[CONNS];
};

/* xorshift64* */
static unsigned draw(struct model *m, unsigned below)
{
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return (unsigned)((m->random * UINT64_C(2685821657736338717)) >> 33) % below;
}

static void step_connection(struct model *m)
{
    size_t k = draw(m, CONNS);
    const char *service = services[draw(m, SERVICES)];
    if (m->conns[k].conn == 0) {
        m->conns[k].node = draw(m, 4) ? 0 : 1;
        m->conns[k].conn = story_connect(&m->c.node[m->conns[k].node], "10.0.0.1");
    }
    struct story *s = &m->c.node[m->conns[k].node];
    uint64_t conn = m->conns[k].conn;
    struct instance_data list[3];
    size_t count = draw(m, 4);
    switch (draw(m, 8)) {
    case 0:
        story_disconnect(s, conn, REMOVAL_CONNECTION_CLOSED);
        m->conns[k].conn = 0;
        break;
    case 1:
        (void)story_deregister(s, conn, service);
        break;
    case 2:
        for (size_t i = 0; i < count && i < 3; i++) {
            list[i] = story_instance("10.0.0.1", 1 + (int)draw(m, 4));
        }
        (void)story_register_batch(s, conn, service, list, count < 3 ? count : 3);
        break;
    default:
        /* The same few addresses through several connections: the newest is seen. */
        (void)story_register(s, conn, service, "10.0.0.1", 1 + (int)draw(m, 4));
        break;
    }
}

static void step_http(struct model *m)
{
    struct story *s = &m->c.node[draw(m, 3) ? 0 : 1];
    struct instance_data data = story_instance("10.0.0.1", 1 + (int)draw(m, HTTPS));
    switch (draw(m, 4)) {
    case 0:
        (void)story_register_http(s, "a", &data);
        break;
    case 1: {
        char id[BEAT_CLIENT_ID_MAX];
        struct naming_unpublish u = {
            .service = story_name("a"),
            .kind = CLIENT_HTTP,
            .client = beat_client_id(data.ip, data.port, id),
            .reason = REMOVAL_HTTP_DEREGISTERED,
        };
        (void)story_unpublish(s, &u);
        break;
    }
    default:
        (void)story_beat(s, "a", &data, draw(m, 2), NULL);
        break;
    }
}

static void step_operator(struct model *m)
{
    struct naming_overlay o = {
        .service = story_name(services[draw(m, SERVICES)]),
        .ip = SPAN("10.0.0.1"),
        .port = (uint16_t)(1 + draw(m, 4)),
        .cluster = SPAN("DEFAULT"),
        .has_weight = true,
        .weight = 1 + draw(m, 9),
    };
    (void)story_overlay(&m->c.node[1], &o);
}

static uint64_t digest_of(struct naming *n, const char *service, struct now now)
{
    struct service_name name = story_name(service);
    struct service *s = service_find(n, &name);
    const struct service_value *v = s ? service_refresh(n, s, now) : NULL;
    return v ? service_value_digest(v) + v->count : 0;
}

static void print_list(struct naming *n, const char *service, struct now now)
{
    struct service_name name = story_name(service);
    const struct service_value *v = service_refresh(n, service_find(n, &name), now);
    print_message("%zu instances\n", v ? v->count : 0);
    for (size_t i = 0; v && i < v->count; i++) {
        const struct instance *it = v->instances[i];
        print_message("%.*s client %.*s\n", SPAN_ARG(it->json), SPAN_ARG(it->client));
    }
}

/* A registry that is where the log is, and has all that node 0 shows applied. */
static struct naming *make_future(struct model *m, struct view *view)
{
    const struct story *s = &m->c.node[0];
    struct naming *future = naming_create(&s->naming->options, view);
    struct buf *bytes = snapshot_take(s->naming);
    struct fail fail = {0};
    struct outbox out = {0};
    assert_int_equal(snapshot_load(future, buf_span(bytes), s->now, &fail, NULL), 0);
    buf_unref(bytes);
    for (const struct story_op *op = s->log; op; op = op->next) {
        if (op->shown) {
            naming_commit(future, buf_span(op->op), cluster_number(0), NULL, s->now, &out);
            naming_check(future);
        }
    }
    outbox_close(&out);
    return future;
}

static void compare(struct model *m)
{
    struct story *s = &m->c.node[0];
    struct view *view = view_create();
    struct naming *future = make_future(m, view);
    for (size_t v = 0; v < SERVICES; v++) {
        if (digest_of(s->naming, services[v], s->now) != digest_of(future, services[v], s->now)) {
            print_list(s->naming, services[v], s->now);
            print_list(future, services[v], s->now);
            fail_msg("service %s: it shows the first and will have the second", services[v]);
        }
    }
    naming_destroy(future);
    view_destroy(view);
}

/* The log takes all that node 0 shows, and nobody there sees a difference. */
static void take_over(struct model *m)
{
    struct story *s = &m->c.node[0];
    uint64_t before[SERVICES];
    for (size_t v = 0; v < SERVICES; v++) {
        before[v] = digest_of(s->naming, services[v], s->now);
    }
    m->c.is_silent[0] = false;
    cluster_turn(&m->c);
    assert_int_equal(naming_stats(s->naming).shown, 0);
    assert_null(s->naming->pending);
    for (size_t v = 0; v < SERVICES; v++) {
        assert_true(digest_of(s->naming, services[v], s->now) == before[v]);
    }
    for (size_t i = 1; i < CLUSTER_NODES; i++) {
        for (size_t v = 0; v < SERVICES; v++) {
            assert_true(digest_of(m->c.node[i].naming, services[v], s->now) == before[v]);
        }
    }
    m->c.is_silent[0] = true;
}

static void run(unsigned seed)
{
    static struct model m;
    struct naming_options options = story_options();
    m = (struct model){.random = UINT64_C(0x9E3779B97F4A7C15) * (seed + 1)};
    cluster_begin(&m.c, &options);
    m.c.is_silent[0] = m.c.shows[0] = true;
    for (int step = 0; step < STEPS; step++) {
        unsigned what = draw(&m, 20);
        if (what < 10) {
            step_connection(&m);
        } else if (what < 15) {
            step_http(&m);
        } else if (what < 17) {
            step_operator(&m);
        } else if (what < 19) {
            cluster_advance(&m.c, draw(&m, 12000));
        } else {
            take_over(&m);
        }
        cluster_turn(&m.c);
        compare(&m);
    }
    take_over(&m);
    cluster_end(&m.c);
}

static void test_shown__random__is_what_the_log_makes_of_it(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %u\n", seed);
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown__random__is_what_the_log_makes_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
