/* Random stories from fixed seeds: whatever happens in whatever order, the registry agrees with a
 * plain model, keeps its invariants (story_turn checks them after each step), and every subscriber
 * ends up with the newest list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "naming/push_state.h"
#include "naming_harness.h"

#define CONNS 6
#define SERVICES 4 /* the last one is persistent */
#define PERSISTENT 3
#define STEPS 1500

static const char *const services[SERVICES] = {"a", "b", "c", "db"};

struct model {
    struct story s;
    uint64_t random;
    unsigned seed;
    uint64_t conn[CONNS];              /* 0: closed */
    size_t published[CONNS][SERVICES]; /* instances of the connection's publication */
    bool subscribed[CONNS][SERVICES];
    size_t last_hosts[CONNS][SERVICES]; /* of the last push that it got */
    int64_t last_stamp[CONNS][SERVICES];
    bool persistent[3];
};

/* xorshift64* */
static unsigned draw(struct model *m, unsigned below)
{
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return (unsigned)((m->random * UINT64_C(2685821657736338717)) >> 33) % below;
}

static size_t service_of(const char *json)
{
    for (size_t v = 0; v < SERVICES; v++) {
        char name[32];
        snprintf(name, sizeof(name), "\"name\":\"%s\"", services[v]);
        if (strstr(json, name)) {
            return v;
        }
    }
    fail_msg("a push of no service: %s", json);
    return 0;
}

/* What the subscribers got; some ack, some late, some not at all. */
static void read_pushes(struct model *m, unsigned ack_percent)
{
    for (size_t c = 0; c < CONNS; c++) {
        struct story_push *push = NULL;
        while (m->conn[c] && (push = story_take(&m->s, m->conn[c]))) {
            size_t v = service_of(push->json);
            if (m->subscribed[c][v]) {
                assert_true(push->stamp > m->last_stamp[c][v]);
                m->last_stamp[c][v] = push->stamp;
                m->last_hosts[c][v] = push->hosts;
            }
            if (draw(m, 100) < ack_percent) {
                story_ack(&m->s, m->conn[c], push->request_id, draw(m, 20) != 0);
            }
            story_push_free(push);
        }
    }
}

static void step_connection(struct model *m, size_t c)
{
    char ip[40];
    snprintf(ip, sizeof(ip), "10.0.%zu.1", c);
    if (!m->conn[c]) {
        m->conn[c] = story_connect(&m->s, ip);
        return;
    }
    story_disconnect(&m->s, m->conn[c], REMOVAL_CONNECTION_CLOSED);
    m->conn[c] = 0;
    for (size_t v = 0; v < SERVICES; v++) {
        m->published[c][v] = 0;
        m->subscribed[c][v] = false;
        m->last_stamp[c][v] = 0;
    }
}

static void step_register(struct model *m, size_t c, size_t v)
{
    struct instance_data list[5];
    char ip[40];
    size_t count = draw(m, 6);
    snprintf(ip, sizeof(ip), "10.0.%zu.1", c);
    for (size_t i = 0; i < count; i++) {
        list[i] = story_instance(ip, (int)(80 + i));
    }
    int err = count == 1 ? story_register(&m->s, m->conn[c], services[v], ip, 80)
                         : story_register_batch(&m->s, m->conn[c], services[v], list, count);
    if (!m->conn[c]) {
        assert_int_equal(err, E_CLIENT_GONE);
        return;
    }
    assert_int_equal(err, 0);
    m->published[c][v] = count;
}

static void step_subscribe(struct model *m, size_t c, size_t v)
{
    bool on = draw(m, 3) != 0;
    int err = on ? story_subscribe(&m->s, m->conn[c], services[v], "")
                 : story_unsubscribe(&m->s, m->conn[c], services[v]);
    if (!m->conn[c]) {
        assert_int_equal(err, E_CLIENT_GONE);
        return;
    }
    assert_int_equal(err, 0);
    if (!on) {
        m->last_stamp[c][v] = 0;
    }
    m->subscribed[c][v] = on;
}

static void step_persistent(struct model *m, size_t p)
{
    char ip[40];
    snprintf(ip, sizeof(ip), "10.9.%zu.1", p);
    if (m->persistent[p]) {
        assert_int_equal(story_deregister_persistent(&m->s, services[PERSISTENT], ip, 3306), 0);
    } else {
        assert_int_equal(story_register_persistent(&m->s, services[PERSISTENT], ip, 3306), 0);
    }
    m->persistent[p] = !m->persistent[p];
}

/* HTTP instances come and go by time: they are not in the model, only in the invariants. */
static void step_http(struct model *m, size_t v)
{
    char ip[40];
    snprintf(ip, sizeof(ip), "10.7.%u.1", draw(m, 3));
    struct instance_data i = story_instance(ip, 80);
    int code = story_beat(&m->s, services[v], &i, draw(m, 2) == 0, NULL);
    assert_true(code == BEAT_OK || code == BEAT_UNKNOWN);
}

static void step_overlay(struct model *m, size_t c, size_t v)
{
    char ip[40];
    snprintf(ip, sizeof(ip), "10.0.%zu.1", c);
    struct naming_overlay o = {
        .service = story_name(services[v]),
        .ip = span_str(ip),
        .port = (uint16_t)(80 + draw(m, 5)),
        .cluster = SPAN("DEFAULT"),
        .has_weight = true,
        .weight = draw(m, 100),
        .patch = draw(m, 2) == 0,
    };
    int err = story_overlay(&m->s, &o);
    assert_true(err == 0 || err == E_NOT_FOUND || err == E_INVALID);
}

static void step(struct model *m)
{
    size_t c = draw(m, CONNS);
    size_t v = draw(m, PERSISTENT);
    switch (draw(m, 20)) {
    case 0:
        step_connection(m, c);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        step_register(m, c, v);
        break;
    case 6:
    case 7:
        assert_int_equal(story_deregister(&m->s, m->conn[c], services[v]), 0);
        m->published[c][v] = 0;
        break;
    case 8:
    case 9:
        step_subscribe(m, c, draw(m, SERVICES));
        break;
    case 10:
        step_persistent(m, draw(m, 3));
        break;
    case 11:
    case 12:
        step_http(m, v);
        break;
    case 13:
        step_overlay(m, c, v);
        break;
    case 14:
        m->s.log_stuck = !m->s.log_stuck && draw(m, 3) == 0;
        break;
    case 15:
        story_advance(&m->s, draw(m, 20) == 0 ? 70000 : draw(m, 8000));
        break;
    default:
        story_advance(&m->s, draw(m, 60));
        break;
    }
}

/* The registry and the model agree on what connections and persistent clients publish. */
static void compare(struct model *m)
{
    for (size_t v = 0; v < SERVICES; v++) {
        size_t expected = 0;
        for (size_t c = 0; c < CONNS; c++) {
            expected += m->published[c][v];
        }
        for (size_t p = 0; p < 3 && v == PERSISTENT; p++) {
            expected += m->persistent[p];
        }
        const struct service *s = story_service(&m->s, services[v]);
        size_t listed = 0;
        for (size_t i = 0; s && i < s->shown_count; i++) {
            listed += !span_starts(s->shown[i]->effective->ip, SPAN("10.7."));
        }
        assert_int_equal(listed, expected);
    }
}

/* Everybody acks and nothing happens for so long that beats expire (30 s) and then empty services
 * (60 s, looked for every 10 s): each subscriber has the newest list. */
static void converge(struct model *m)
{
    m->s.log_stuck = false;
    story_turn(&m->s);
    for (int i = 0; i < 150; i++) {
        for (size_t c = 0; c < CONNS; c++) {
            struct story_push *push = NULL;
            while (m->conn[c] && (push = story_take(&m->s, m->conn[c]))) {
                size_t v = service_of(push->json);
                assert_true(push->stamp > m->last_stamp[c][v]);
                m->last_stamp[c][v] = push->stamp;
                m->last_hosts[c][v] = push->hosts;
                story_ack(&m->s, m->conn[c], push->request_id, true);
                story_push_free(push);
            }
        }
        story_advance(&m->s, 1000);
    }
    for (size_t c = 0; c < CONNS; c++) {
        for (size_t v = 0; v < SERVICES; v++) {
            if (m->subscribed[c][v]) {
                assert_true(m->last_stamp[c][v] > 0);
                assert_int_equal(m->last_hosts[c][v], story_listed(&m->s, services[v]));
            }
        }
    }
    assert_int_equal(HASH_COUNT(m->s.naming->ack_waits), 0);
    compare(m);
}

static void run(unsigned seed)
{
    static struct model m;
    memset(&m, 0, sizeof(m));
    m.seed = seed;
    m.random = UINT64_C(0x9E3779B97F4A7C15) * (seed + 1);
    struct naming_options options = story_options();
    options.push_tries_max = 1000000;
    story_begin(&m.s, &options);
    for (int i = 0; i < STEPS; i++) {
        step(&m);
        read_pushes(&m, 70);
        if (!m.s.log_stuck) {
            story_turn(&m.s);
            compare(&m);
        }
        if (i % 500 == 499) {
            converge(&m);
        }
    }
    story_end(&m.s);
}

static void test_story__random__keeps_every_promise(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 20; seed++) {
        print_message("seed %u\n", seed);
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_story__random__keeps_every_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
