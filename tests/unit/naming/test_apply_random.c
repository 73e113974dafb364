/* Random operations from fixed seeds, through the codec: after each one the state agrees with a
 * plain model, and a registry with subscribers has the same replicated half as one without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "naming/naming_digest.h"
#include "naming/push.h"
#include "naming_bed.h"

#define SERVICES 4
#define CLIENTS 7
#define KEYS 12
#define BATCH_MAX 5
#define STEPS 25000

static const char *const services[SERVICES] = {"a", "b", "c", "d"};
static const char *const clients[CLIENTS] = {
    "1_10.0.0.1_1",     "1_10.0.0.2_2",      "1_10.0.0.3_3",     "10.0.0.1:80#true",
    "10.0.0.2:80#true", "10.0.0.1:80#false", "10.0.0.2:80#false"};
static const char *const ips[] = {"10.0.0.1", "10.0.0.2", "::1"};
static const char *const clusters[] = {"DEFAULT", "C1"};

struct m_entry {
    unsigned seq; /* 0: not published; the greatest of a key is shown */
    unsigned weight;
    bool healthy;
};

struct m_overlay {
    bool set;
    bool has_weight;
    bool has_enabled;
    bool enabled;
    unsigned weight;
    unsigned tag; /* value of metadata key "tag", 0: none */
};

struct m_service {
    bool exists;
    bool ephemeral;
    bool has_record;
    struct m_entry entries[CLIENTS][KEYS];
    struct m_overlay overlays[KEYS];
};

struct model {
    struct bed bed;
    struct bed twin; /* the same operations, and subscribers */
    struct m_service services[SERVICES];
    unsigned seq;
    unsigned removed; /* by the last operation */
    uint64_t random;
};

/* xorshift64* */
static unsigned draw(struct model *m, unsigned below)
{
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return (unsigned)((m->random * UINT64_C(2685821657736338717)) >> 33) % below;
}

static bool is_persistent(size_t c)
{
    return c >= 5;
}

static enum client_kind kind_of(size_t c)
{
    return is_persistent(c) ? CLIENT_PERSISTENT : c >= 3 ? CLIENT_HTTP : CLIENT_CONNECTION;
}

static struct span key_ip(size_t k)
{
    return span_str(ips[k % 3]);
}

static uint16_t key_port(size_t k)
{
    return (uint16_t)(80 + k / 3 % 2);
}

static struct span key_cluster(size_t k)
{
    return span_str(clusters[k / 6]);
}

static const struct m_entry *shown(const struct m_service *s, size_t k)
{
    const struct m_entry *newest = NULL;
    for (size_t c = 0; c < CLIENTS; c++) {
        const struct m_entry *e = &s->entries[c][k];
        if (e->seq > 0 && (!newest || e->seq > newest->seq)) {
            newest = e;
        }
    }
    return newest;
}

static size_t published(const struct m_service *s)
{
    size_t count = 0;
    for (size_t c = 0; c < CLIENTS; c++) {
        bool any = false;
        for (size_t k = 0; k < KEYS; k++) {
            any = any || s->entries[c][k].seq > 0;
        }
        count += any;
    }
    return count;
}

/* Both registries apply what the codec makes of op; they say the same. */
static int apply(struct model *m, struct naming_op *op)
{
    struct arena arena;
    struct naming_op decoded = {0};
    struct fail fail = {0};
    op->time_ms = ++m->bed.time_ms;
    arena_init(&arena, NAMING_OP_ARENA_MAX);
    struct buf *packed = naming_op_encode(op);
    assert_int_equal(naming_op_decode(buf_span(packed), &arena, &decoded, &fail), 0);
    int err = bed_apply(&m->bed, &decoded);
    assert_int_equal(bed_apply(&m->twin, &decoded), err);
    assert_string_equal(m->twin.fail.text, m->bed.fail.text);
    assert_int_equal(m->twin.removed, m->bed.removed);
    assert_int_equal(m->twin.touched, m->bed.touched);
    assert_int_equal(m->bed.removed, m->removed);
    assert_true(naming_digest(m->bed.naming) == naming_digest(m->twin.naming));
    arena_close(&arena);
    buf_unref(packed);
    return err;
}

/* The client's entries go from the model, but those that are kept. */
static void forget(struct model *m, struct m_service *s, size_t c, const bool *kept)
{
    for (size_t k = 0; k < KEYS; k++) {
        if (s->entries[c][k].seq > 0 && !(kept && kept[k])) {
            s->entries[c][k].seq = 0;
            m->removed += shown(s, k) == NULL;
        }
    }
}

static void step_publish(struct model *m, size_t v, size_t c)
{
    struct m_service *s = &m->services[v];
    struct instance_data list[BATCH_MAX];
    size_t keys[BATCH_MAX];
    bool kept[KEYS] = {false};
    size_t count = kind_of(c) == CLIENT_CONNECTION ? draw(m, BATCH_MAX + 1) : 1;
    for (size_t i = 0; i < count; i++) {
        keys[i] = draw(m, KEYS);
        kept[keys[i]] = true;
        list[i] = bed_instance("", key_port(keys[i]));
        list[i].ip = key_ip(keys[i]);
        list[i].cluster = key_cluster(keys[i]);
        list[i].weight = draw(m, 100);
        list[i].healthy = draw(m, 3) != 0;
    }
    struct naming_op op = {
        .kind = NAMING_OP_PUBLISH,
        .service = bed_name(services[v]),
        .client = span_str(clients[c]),
        .client_kind = kind_of(c),
        .ephemeral = !is_persistent(c),
        .batch = count != 1,
        .instances = list,
        .instances_count = count,
    };
    bool refused =
        s->exists && s->ephemeral == is_persistent(c) && (published(s) > 0 || s->has_record);
    if (refused) {
        assert_int_equal(apply(m, &op), E_INVALID);
        return;
    }
    s->exists = true;
    s->ephemeral = !is_persistent(c);
    for (size_t i = 0; i < count; i++) {
        s->entries[c][keys[i]] =
            (struct m_entry){++m->seq, (unsigned)list[i].weight, list[i].healthy};
    }
    forget(m, s, c, kept);
    assert_int_equal(apply(m, &op), 0);
}

static void step_unpublish(struct model *m, size_t v, size_t c)
{
    struct naming_op op = {
        .kind = NAMING_OP_UNPUBLISH,
        .service = bed_name(services[v]),
        .client = span_str(clients[c]),
        .reason = REMOVAL_DEREGISTERED,
    };
    forget(m, &m->services[v], c, NULL);
    assert_int_equal(apply(m, &op), 0);
}

static void step_gone(struct model *m, size_t c)
{
    struct naming_op op = {
        .kind = NAMING_OP_CLIENT_GONE,
        .client = span_str(clients[c]),
        .reason = REMOVAL_CONNECTION_CLOSED,
    };
    for (size_t v = 0; v < SERVICES; v++) {
        forget(m, &m->services[v], c, NULL);
    }
    assert_int_equal(apply(m, &op), 0);
}

static void step_health(struct model *m, size_t v, size_t c)
{
    bool healthy = draw(m, 2) == 0;
    struct naming_op op = {
        .kind = NAMING_OP_HEALTH,
        .service = bed_name(services[v]),
        .client = span_str(clients[c]),
        .healthy = healthy,
    };
    for (size_t k = 0; k < KEYS; k++) {
        m->services[v].entries[c][k].healthy = healthy;
    }
    assert_int_equal(apply(m, &op), 0);
}

static void step_overlay(struct model *m, size_t v)
{
    struct m_service *s = &m->services[v];
    size_t k = draw(m, KEYS);
    unsigned tag = draw(m, 9) + 1;
    char text[16];
    snprintf(text, sizeof(text), "%u", tag);
    const struct instance_pair pairs[] = {{SPAN("tag"), span_str(text)}};
    const struct span gone[] = {SPAN("tag")};
    struct naming_op op = {
        .kind = NAMING_OP_OVERLAY,
        .service = bed_name(services[v]),
        .ip = key_ip(k),
        .port = key_port(k),
        .cluster = key_cluster(k),
        .has_weight = draw(m, 2) == 0,
        .weight = draw(m, 100),
        .has_enabled = draw(m, 2) == 0,
        .enabled = draw(m, 2) == 0,
        .merge_metadata = draw(m, 2) == 0,
        .metadata = pairs,
        .metadata_count = draw(m, 2),
        .metadata_remove = gone,
        .metadata_remove_count = draw(m, 4) == 0,
    };
    if (!s->exists) {
        assert_int_equal(apply(m, &op), E_INVALID);
        return;
    }
    struct m_overlay *o = &s->overlays[k];
    o->set = true;
    o->has_weight = o->has_weight || op.has_weight;
    o->weight = op.has_weight ? (unsigned)op.weight : o->weight;
    o->has_enabled = o->has_enabled || op.has_enabled;
    o->enabled = op.has_enabled ? op.enabled : o->enabled;
    if (!op.merge_metadata || op.metadata_remove_count > 0) {
        o->tag = 0;
    }
    o->tag = op.metadata_count > 0 ? tag : o->tag;
    assert_int_equal(apply(m, &op), 0);
}

static void step_overlay_drop(struct model *m, size_t v)
{
    struct m_service *s = &m->services[v];
    size_t k = draw(m, KEYS);
    struct naming_op op = {
        .kind = NAMING_OP_OVERLAY,
        .service = bed_name(services[v]),
        .ip = key_ip(k),
        .port = key_port(k),
        .cluster = key_cluster(k),
        .remove = true,
    };
    if (!shown(s, k)) {
        s->overlays[k] = (struct m_overlay){0};
    }
    assert_int_equal(apply(m, &op), 0);
}

static void step_service_put(struct model *m, size_t v)
{
    struct m_service *s = &m->services[v];
    struct naming_op op = {
        .kind = NAMING_OP_SERVICE_PUT,
        .service = bed_name(services[v]),
        .create = draw(m, 2) == 0,
        .ephemeral = draw(m, 2) == 0,
        .protect_threshold = 0.5,
    };
    if (op.create == s->exists) {
        assert_int_equal(apply(m, &op), E_INVALID);
        return;
    }
    s->ephemeral = op.create ? op.ephemeral : s->ephemeral;
    s->exists = s->has_record = true;
    assert_int_equal(apply(m, &op), 0);
}

static void step_service_remove(struct model *m, size_t v)
{
    struct m_service *s = &m->services[v];
    struct naming_op op = {
        .kind = NAMING_OP_SERVICE_REMOVE,
        .service = bed_name(services[v]),
        .is_explicit = draw(m, 2) == 0,
    };
    bool kept = !s->exists || published(s) > 0 || (!op.is_explicit && s->has_record);
    if (!kept) {
        *s = (struct m_service){0};
    }
    assert_int_equal(apply(m, &op), kept && op.is_explicit ? E_INVALID : 0);
}

static void step(struct model *m)
{
    size_t v = draw(m, SERVICES);
    size_t c = draw(m, CLIENTS);
    m->removed = 0;
    switch (draw(m, 16)) {
    case 0:
    case 1:
        step_unpublish(m, v, c);
        break;
    case 2:
        step_gone(m, c);
        break;
    case 3:
    case 4:
        step_health(m, v, c);
        break;
    case 5:
    case 6:
        step_overlay(m, v);
        break;
    case 7:
        step_overlay_drop(m, v);
        break;
    case 8:
        step_service_put(m, v);
        break;
    case 9:
    case 10:
        step_service_remove(m, v);
        break;
    default:
        step_publish(m, v, c);
        break;
    }
}

static void compare_key(const struct m_service *model, const struct service *s, size_t k,
                        size_t *healthy, size_t *count)
{
    const struct instance_slot *slot =
        s ? instance_slot_find(s, key_ip(k), key_port(k), key_cluster(k)) : NULL;
    const struct m_entry *e = shown(model, k);
    const struct m_overlay *o = &model->overlays[k];
    assert_int_equal(slot != NULL, e || o->set);
    assert_int_equal(slot && slot->newest, e != NULL);
    assert_int_equal(slot && slot->overlay, o->set);
    if (!e || !slot || !slot->newest) {
        return;
    }
    const struct instance *i = slot->newest->effective;
    assert_int_equal((unsigned)i->weight, o->has_weight ? o->weight : e->weight);
    assert_int_equal(i->enabled, o->has_enabled ? o->enabled : true);
    assert_int_equal(i->healthy, e->healthy);
    assert_int_equal(i->ephemeral, model->ephemeral);
    struct span tag = instance_metadata(i, "tag");
    assert_int_equal(tag.len > 0 ? tag.data[0] - '0' : 0, o->tag);
    *healthy += i->healthy;
    (*count)++;
}

static void compare(struct model *m)
{
    size_t existing = 0;
    for (size_t v = 0; v < SERVICES; v++) {
        const struct m_service *model = &m->services[v];
        const struct service *s = bed_service(&m->bed, services[v]);
        assert_int_equal(s && s->exists, model->exists);
        existing += model->exists;
        size_t healthy = 0;
        size_t count = 0;
        for (size_t k = 0; k < KEYS; k++) {
            compare_key(model, s, k, &healthy, &count);
        }
        if (s) {
            assert_int_equal(s->ephemeral, model->ephemeral);
            assert_int_equal(s->has_record, model->has_record);
            assert_int_equal(s->shown_count, count);
            assert_int_equal(s->healthy_count, healthy);
            assert_int_equal(s->publication_count, published(model));
        }
    }
    assert_int_equal(naming_stats(m->bed.naming).services, existing);
}

/* What a snapshot would save, order of the lists included. */
static void compare_twin(struct model *m, size_t v)
{
    const struct service *a = bed_service(&m->bed, services[v]);
    const struct service *b = bed_service(&m->twin, services[v]);
    assert_non_null(b); /* subscribed to */
    if (!a) {
        assert_false(b->exists);
        assert_int_equal(b->revision, 0);
        assert_int_equal(b->updated_ms, 0);
        return;
    }
    assert_int_equal(a->revision, b->revision);
    assert_int_equal(a->updated_ms, b->updated_ms);
    assert_int_equal(a->removals_count, b->removals_count);
    assert_int_equal(a->overlay_count, b->overlay_count);
    assert_int_equal(a->shown_count, b->shown_count);
    for (size_t i = 0; i < a->shown_count; i++) {
        assert_true(span_eq(a->shown[i]->effective->json, b->shown[i]->effective->json));
        assert_true(span_eq(a->shown[i]->effective->client, b->shown[i]->effective->client));
    }
}

static void subscribe_twin(struct model *m)
{
    struct now now = {1, BED_TIME_MS};
    struct naming_conn conn = {.conn = 1, .id = SPAN("1_10.9.9.9_9")};
    naming_conn_open(m->twin.naming, &conn, now);
    for (size_t v = 0; v < SERVICES; v++) {
        struct naming_subscribe sub = {.service = bed_name(services[v]), .conn = 1};
        assert_int_equal(push_subscribe(m->twin.naming, &sub, now, NULL), 0);
    }
}

static void run(unsigned seed)
{
    static struct model m;
    m = (struct model){.random = UINT64_C(0x9E3779B97F4A7C15) * (seed + 1)};
    bed_begin(&m.bed);
    bed_begin(&m.twin);
    subscribe_twin(&m);
    for (int i = 0; i < STEPS; i++) {
        step(&m);
        compare(&m);
        for (size_t v = 0; v < SERVICES; v++) {
            compare_twin(&m, v);
        }
    }
    bed_end(&m.bed);
    bed_end(&m.twin);
}

static void test_apply__random__agrees_with_a_plain_model_on_every_node(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 4; seed++) {
        print_message("seed %u\n", seed);
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply__random__agrees_with_a_plain_model_on_every_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
