/* Three registries, random clients and random faults from fixed seeds: nodes that applied the same
 * have the same bytes (cluster_turn compares them), and when everything is whole again each living
 * client's instances are there, once, and those of the others are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "naming_cluster.h"

#define SERVICES 3
#define CONNS 9
#define HTTPS 5
#define SEEDS 20
#define STEPS 400
#define BEAT_MS 5000

static const char *const services[SERVICES] = {"a", "b", "c"};

/* A client with a connection to one node. */
struct m_conn {
    size_t node;
    uint64_t conn;       /* 0: not connected */
    int ports[SERVICES]; /* what it registered last; 0: nothing */
};

struct model {
    struct cluster c;
    uint64_t random;
    struct m_conn conns[CONNS];
    bool beats[HTTPS]; /* registered, and beating ever since */
    char http_ips[HTTPS][16];
    char conn_ips[CONNS][16];
};

/* xorshift64* */
static unsigned draw(struct model *m, unsigned below)
{
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return (unsigned)((m->random * UINT64_C(2685821657736338717)) >> 33) % below;
}

static struct story *any_node(struct model *m)
{
    return &m->c.node[draw(m, CLUSTER_NODES)];
}

static void step_connection(struct model *m)
{
    size_t k = draw(m, CONNS);
    struct m_conn *x = &m->conns[k];
    struct story *s = &m->c.node[x->node];
    unsigned v = draw(m, SERVICES);
    if (x->conn == 0) {
        *x = (struct m_conn){.node = draw(m, CLUSTER_NODES)};
        x->conn = story_connect(&m->c.node[x->node], m->conn_ips[k]);
        return;
    }
    switch (draw(m, 6)) {
    case 0:
        story_disconnect(s, x->conn, REMOVAL_CONNECTION_CLOSED);
        x->conn = 0;
        break;
    case 1:
        x->ports[v] = 0;
        assert_int_equal(story_deregister(s, x->conn, services[v]), 0);
        break;
    default:
        x->ports[v] = 1 + (int)draw(m, 3);
        assert_int_equal(story_register(s, x->conn, services[v], m->conn_ips[k], x->ports[v]), 0);
        break;
    }
}

static void beat(struct model *m, size_t h)
{
    struct instance_data data = story_instance(m->http_ips[h], 80);
    struct story *s = any_node(m);
    int code = story_beat(s, "a", &data, false, NULL);
    if (code == BEAT_UNKNOWN) {
        (void)story_beat(s, "a", &data, true, NULL); /* as the Java client does */
    }
}

static void step_http(struct model *m)
{
    size_t h = draw(m, HTTPS);
    struct instance_data data = story_instance(m->http_ips[h], 80);
    if (!m->beats[h]) {
        m->beats[h] = true;
        assert_int_equal(story_register_http(any_node(m), "a", &data), 0);
        return;
    }
    if (draw(m, 3) > 0) {
        beat(m, h);
        return;
    }
    /* It stops; beats of before are overtaken by nothing, so it goes by silence. */
    m->beats[h] = false;
}

static void pass(struct model *m, uint64_t ms)
{
    for (uint64_t at = 0; at < ms; at += BEAT_MS) {
        for (size_t h = 0; h < HTTPS; h++) {
            if (m->beats[h]) {
                beat(m, h);
            }
        }
        cluster_turn(&m->c);
        cluster_advance(&m->c, ms - at < BEAT_MS ? ms - at : BEAT_MS);
    }
}

static void restart(struct model *m, size_t i)
{
    for (size_t k = 0; k < CONNS; k++) {
        if (m->conns[k].node == i) {
            m->conns[k] = (struct m_conn){0};
        }
    }
    (void)cluster_restart(&m->c, i);
}

/* Whether a snapshot would stand for operations of i itself: which of them it answered would be
 * known to nobody (restore.h). */
static bool has_own_pending(const struct cluster *c, size_t i)
{
    for (size_t at = c->applied[i]; at < c->log_count; at++) {
        if (c->log[at].origin == i) {
            return true;
        }
    }
    return c->node[i].log != NULL;
}

static void step_fault(struct model *m)
{
    struct cluster *c = &m->c;
    size_t i = draw(m, CLUSTER_NODES);
    size_t other = (i + 1) % CLUSTER_NODES;
    switch (draw(m, 10)) {
    case 8:
        c->shows[i] = !c->shows[i];
        break;
    case 0:
        c->is_behind[i] = !c->is_behind[i];
        break;
    case 1:
        c->is_silent[i] = !c->is_silent[i];
        break;
    case 2:
        c->is_cut[i] = !c->is_cut[i];
        break;
    case 3:
        naming_owner_lost(c->node[i].naming, cluster_number(other), draw(m, 2) == 0);
        break;
    case 4:
    case 5:
        if (c->is_silent[i]) {
            cluster_gone(c, i);
        }
        break;
    case 6:
        restart(m, i);
        break;
    case 7:
        if (!has_own_pending(c, i) && c->applied[other] > c->applied[i]) {
            cluster_install(c, i, other);
        }
        break;
    default:
        c->is_silent[i] = c->is_behind[i] = c->is_cut[i] = c->shows[i] = false;
        break;
    }
}

static void heal(struct model *m)
{
    struct cluster *c = &m->c;
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        c->is_silent[i] = c->is_behind[i] = c->is_cut[i] = false;
        for (size_t other = 0; other < CLUSTER_NODES; other++) {
            naming_owner_lost(c->node[i].naming, cluster_number(other), false);
        }
    }
    cluster_turn(c);
    pass(m, 120000);
}

static void expect(struct model *m, size_t i)
{
    struct story *s = &m->c.node[i];
    size_t counts[SERVICES] = {0};
    for (size_t k = 0; k < CONNS; k++) {
        const struct m_conn *x = &m->conns[k];
        for (size_t v = 0; x->conn && v < SERVICES; v++) {
            counts[v] += x->ports[v] != 0;
            if (x->ports[v] && !story_find(s, services[v], m->conn_ips[k], x->ports[v])) {
                fail_msg("node %zu: client %zu is missing in %s", i, k, services[v]);
            }
        }
    }
    for (size_t h = 0; h < HTTPS; h++) {
        const struct instance *in = story_find(s, "a", m->http_ips[h], 80);
        counts[0] += m->beats[h];
        assert_int_equal(in && in->healthy, m->beats[h]);
    }
    for (size_t v = 0; v < SERVICES; v++) {
        assert_int_equal(story_listed(s, services[v]), counts[v]);
    }
}

static void run(unsigned seed)
{
    static struct model m;
    struct naming_options options = story_options();
    m = (struct model){.random = UINT64_C(0x9E3779B97F4A7C15) * (seed + 1)};
    cluster_begin(&m.c, &options);
    for (size_t k = 0; k < CONNS; k++) {
        snprintf(m.conn_ips[k], sizeof(m.conn_ips[k]), "10.0.0.%zu", k);
    }
    for (size_t h = 0; h < HTTPS; h++) {
        snprintf(m.http_ips[h], sizeof(m.http_ips[h]), "10.0.9.%zu", h);
    }
    for (int step = 0; step < STEPS; step++) {
        unsigned what = draw(&m, 20);
        if (what < 10) {
            step_connection(&m);
        } else if (what < 14) {
            step_http(&m);
        } else if (what < 18) {
            step_fault(&m);
        } else {
            pass(&m, 1 + draw(&m, 8000));
        }
        if (draw(&m, 2) == 0) {
            cluster_turn(&m.c);
        }
    }
    heal(&m);
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        expect(&m, i);
    }
    cluster_end(&m.c);
}

static void test_cluster__random__heals_to_what_living_clients_want(void **state)
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
        cmocka_unit_test(test_cluster__random__heals_to_what_living_clients_want),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
