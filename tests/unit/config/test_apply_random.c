/* Random operations from fixed seeds, through log and codec: after each one the state agrees with a
 * plain model; a node with next to no memory for contents, whose tables lag and which is restarted
 * again and again, has the same state as one that is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config_digest.h"
#include "config_harness.h"

#define IDS 6
#define NAMES 4
#define GRAY_MAX 2
#define IMPORT_MAX 4
#define STEPS 400
#define SEEDS 6
#define CONTENTS 40

static const char *const ids[IDS] = {"a", "b", "c", "app.yaml", "app-1.properties", "z:_"};
static const char *const gray_names[NAMES] = {"", "beta", "tag_x", "tag_y"};
static const char *const rules[NAMES] = {"", "10.0.0.1,10.0.0.2", "x", "y"};

/* One version as it must be. */
struct m_version {
    bool exists;
    unsigned content; /* number */
    uint64_t id;
    int64_t modified_ms;
};

struct model {
    struct cstory alone;
    struct cstory harried;
    struct m_version versions[IDS][NAMES];
    uint64_t last_id, last_nid;
    uint64_t random;
};

/* xorshift64* */
static unsigned draw(struct model *m, unsigned below)
{
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return (unsigned)((m->random * 0x2545F4914F6CDD1DULL) >> 33) % below;
}

/* Content number n: 0 to 8 KB. */
static struct span content_of(unsigned n)
{
    static char texts[CONTENTS][8 * 1024 + 1];
    size_t len = (size_t)(n * n) * 5;
    memset(texts[n], (int)('a' + n % 26), len);
    return span_of(texts[n], len);
}

static struct config_key key_of(unsigned id)
{
    return (struct config_key){id % 2 ? SPAN("dev") : SPAN(""), SPAN("g"), span_str(ids[id])};
}

/* ------------------------------------------------------------------ the model */

static unsigned gray_count(const struct model *m, unsigned id)
{
    unsigned count = 0;
    for (unsigned n = 1; n < NAMES; n++) {
        count += m->versions[id][n].exists;
    }
    return count;
}

/* cas: number of the content that must be there; CONTENTS: no condition. */
static bool model_publish(struct model *m, unsigned id, unsigned name, unsigned content,
                          unsigned cas)
{
    struct m_version *v = &m->versions[id][name];
    if (v->exists && cas != CONTENTS && cas != v->content) {
        return false;
    }
    if (name && !v->exists && gray_count(m, id) == GRAY_MAX) {
        return false;
    }
    int64_t now = m->alone.now.wall_ms;
    v->modified_ms = v->exists && v->modified_ms >= now ? v->modified_ms + 1 : now;
    v->id = v->exists ? v->id : ++m->last_id;
    v->exists = true;
    v->content = content;
    m->last_nid++;
    return true;
}

static void model_remove(struct model *m, unsigned id, unsigned name)
{
    m->last_nid += m->versions[id][name].exists;
    m->versions[id][name] = (struct m_version){0};
}

/* ------------------------------------------------------------------ operations */

static void commit(struct model *m, const struct config_op *op)
{
    cstory_commit(&m->alone, op);
    cstory_commit(&m->harried, op);
}

static struct config_publish publish_of(unsigned id, unsigned name, unsigned content)
{
    struct config_publish p = {
        .key = key_of(id),
        .gray_name = span_str(gray_names[name]),
        .gray_rule = span_str(rules[name]),
        .content = content_of(content),
        .type = (enum config_type)(content % 8),
        .app_name = content % 3 ? SPAN("app") : (struct span){0},
        .tags = content % 4 ? SPAN("t1,t2") : (struct span){0},
    };
    config_md5(p.content, p.md5);
    return p;
}

static void step_publish(struct model *m)
{
    char cas_text[CONFIG_MD5_TEXT];
    unsigned id = draw(m, IDS);
    unsigned name = draw(m, 3) ? 0 : draw(m, NAMES);
    unsigned content = draw(m, CONTENTS);
    unsigned cas = draw(m, 3) ? CONTENTS : m->versions[id][name].content;
    cas = draw(m, 6) ? cas : draw(m, CONTENTS);
    struct config_publish p = publish_of(id, name, content);
    if (cas != CONTENTS) {
        uint8_t md5[CONFIG_MD5_BYTES];
        config_md5(content_of(cas), md5);
        config_md5_text(md5, cas_text);
        p.cas_md5 = span_of(cas_text, sizeof(cas_text));
    }
    struct config_op op = {.kind = CONFIG_OP_PUBLISH,
                           .time_ms = m->alone.now.wall_ms,
                           .publish = &p,
                           .publish_count = 1};
    commit(m, &op);
    (void)model_publish(m, id, name, content, cas);
}

static void step_remove(struct model *m)
{
    unsigned id = draw(m, IDS);
    unsigned name = draw(m, NAMES);
    struct config_op op = {.kind = CONFIG_OP_REMOVE,
                           .time_ms = m->alone.now.wall_ms,
                           .key = key_of(id),
                           .gray_name = span_str(gray_names[name])};
    commit(m, &op);
    model_remove(m, id, name);
}

static void step_import(struct model *m)
{
    struct config_publish list[IMPORT_MAX];
    unsigned count = 1 + draw(m, IMPORT_MAX);
    enum config_policy policy = (enum config_policy)draw(m, 3);
    bool is_over = false;
    unsigned which[IMPORT_MAX];
    unsigned contents[IMPORT_MAX];
    for (unsigned n = 0; n < count; n++) {
        which[n] = draw(m, IDS);
        contents[n] = draw(m, CONTENTS);
        list[n] = publish_of(which[n], 0, contents[n]);
    }
    struct config_op op = {.kind = CONFIG_OP_IMPORT,
                           .time_ms = m->alone.now.wall_ms,
                           .publish = list,
                           .publish_count = count,
                           .policy = policy};
    commit(m, &op);
    for (unsigned n = 0; n < count && !is_over; n++) {
        bool exists = m->versions[which[n]][0].exists;
        is_over = exists && policy == CONFIG_ABORT;
        if (!exists || policy == CONFIG_OVERWRITE) {
            (void)model_publish(m, which[n], 0, contents[n], CONTENTS);
        }
    }
}

static void step_time(struct model *m)
{
    int64_t by = (int64_t)draw(m, 3000) - 1000; /* clocks are set back, too */
    m->alone.now.wall_ms += by;
    m->harried.now.wall_ms += by;
}

static void step_trouble(struct model *m)
{
    struct cstory *s = &m->harried;
    switch (draw(m, 4)) {
    case 0:
        s->tables_behind = !s->tables_behind;
        break;
    case 1:
        s->tables_behind = false;
        cstory_settle(s);
        break;
    case 2:
        s->tables_behind = false;
        cstory_settle(s);
        cstory_restart(s, NULL);
        break;
    default:
        cstory_restart(s, NULL); /* with whatever the tables have by now */
    }
}

/* ------------------------------------------------------------------ checks */

static void expect_version(const struct config_version *v, uint64_t id, unsigned content,
                           const struct m_version *m)
{
    assert_true(m->exists);
    assert_int_equal(id, m->id);
    assert_int_equal(content, m->content);
    assert_int_equal(v->modified_ms, m->modified_ms);
    assert_int_equal(v->length, content_of(content).len);
    assert_int_equal(v->type, content % 8);
    assert_true(!v->content || span_eq(buf_span(v->content), content_of(content)));
}

static unsigned number_of(const struct config_version *v)
{
    uint8_t md5[CONFIG_MD5_BYTES];
    for (unsigned n = 0; n < CONTENTS; n++) {
        config_md5(content_of(n), md5);
        if (memcmp(md5, v->md5, sizeof(md5)) == 0) {
            return n;
        }
    }
    return CONTENTS;
}

static void expect_item(const struct model *m, struct cstory *s, unsigned id)
{
    struct config_key key = key_of(id);
    const struct item *i = item_find(s->config, &key);
    const struct config_value *v = i ? i->value : NULL;
    const struct m_version *versions = m->versions[id];
    assert_int_equal(v && v->formal, versions[0].exists);
    assert_int_equal(v ? v->gray_count : 0, gray_count(m, id));
    if (v && v->formal) {
        expect_version(v->formal, i->id, number_of(v->formal), &versions[0]);
    }
    size_t at = 0;
    for (unsigned n = 1; n < NAMES; n++) {
        if (versions[n].exists && v) {
            const struct config_gray *gray = &v->gray[at++];
            assert_true(span_eq(gray->name, span_str(gray_names[n])));
            assert_true(span_eq(gray->rule, span_str(rules[n])));
            expect_version(gray->version, gray->id, number_of(gray->version), &versions[n]);
        }
    }
}

static void expect_node(const struct model *m, struct cstory *s)
{
    assert_int_equal(s->config->last_id, m->last_id);
    assert_int_equal(s->config->last_nid, m->last_nid);
    for (unsigned id = 0; id < IDS; id++) {
        expect_item(m, s, id);
    }
}

/* Rows of the tables, added up: equal sums, equal tables as far as ids, times and texts go. */
static const struct db_stmt sums[] = {
    {.name = "formal",
     .sql_sqlite = "SELECT COALESCE(sum(id * 31 + length(content) * 7 + gmt_modified % 100003 + "
                   "length(app_name)), 0) + count(*) FROM config_info"},
    {.name = "gray",
     .sql_sqlite = "SELECT COALESCE(sum(id * 31 + length(content) * 7 + gmt_modified % 100003), "
                   "0) + count(*) FROM config_info_gray"},
    {.name = "tags", .sql_sqlite = "SELECT COALESCE(sum(id * 31), 0) FROM config_tags_relation"},
    {.name = "history",
     .sql_sqlite = "SELECT COALESCE(sum(nid * 31 + id * 7 + length(content) + gmt_modified % "
                   "100003 + unicode(op_type)), 0) + count(*) FROM his_config_info"},
};

static void expect_tables(struct model *m)
{
    m->harried.tables_behind = false;
    for (size_t n = 0; n < ARRAY_LEN(sums); n++) {
        assert_int_equal(cstory_number(&m->harried, &sums[n]), cstory_number(&m->alone, &sums[n]));
    }
}

static void run(uint64_t seed)
{
    static struct model m;
    struct config_options options = cstory_options();
    options.gray_max = GRAY_MAX;
    m = (struct model){.random = seed};
    cstory_begin(&m.alone, &options);
    options.memory_bytes_max = 10000;
    cstory_begin(&m.harried, &options);
    for (int n = 0; n < STEPS; n++) {
        unsigned dice = draw(&m, 20);
        if (dice < 10) {
            step_publish(&m);
        } else if (dice < 14) {
            step_remove(&m);
        } else if (dice < 16) {
            step_import(&m);
        } else if (dice < 19) {
            step_time(&m);
        } else {
            step_trouble(&m);
        }
        expect_node(&m, &m.alone);
        expect_node(&m, &m.harried);
        assert_true(config_digest(m.alone.config) == config_digest(m.harried.config));
    }
    expect_tables(&m);
    cstory_restart(&m.alone, NULL);
    expect_node(&m, &m.alone);
    cstory_end(&m.alone);
    cstory_end(&m.harried);
}

static void test_random__state_is_what_the_model_says(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run(seed * 0x9E3779B97F4A7C15ULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random__state_is_what_the_model_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
