/* Reads that may not be shown yet: each kind of answer is as new as the entry that made it. */
#include "config/config_gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "config/config_query.h"
#include "config/config_rows.h"
#include "config_harness.h"

static struct cstory story;
static struct read_gate gate;
static struct api_call *kept;

static bool keep(void *self, struct api_call *take_call, struct now now)
{
    (void)self;
    (void)now;
    kept = take_call;
    return true;
}

static int setup(void **state)
{
    (void)state;
    struct config_options options = cstory_options();
    gate = (struct read_gate){.keep = keep};
    kept = NULL;
    options.gate = &gate;
    cstory_begin(&story, &options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cstory_end(&story);
    return 0;
}

static const struct api_row *query_row(void)
{
    size_t count = 0;
    const struct api_row *rows = config_rpc_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, "ConfigQueryRequest") == 0) {
            return &rows[i];
        }
    }
    abort();
}

static struct cstory_call *query(const char *json)
{
    struct cstory_call *c = cstory_call(&story);
    struct fail fail = {0};
    c->call.row = query_row();
    assert_int_equal(c->call.row->decode_rpc(&c->call, span_str(json), &fail), 0);
    return c;
}

#define D1 "{\"dataId\":\"d1\",\"group\":\"DEFAULT_GROUP\",\"tenant\":\"\"}"

/* What the edge says: 0 answered, API_TO_CORE, or a code. */
static int read_edge(struct cstory_call *c)
{
    struct fail fail = {0};
    return c->call.row->read(config_edge(story.config), &c->call, story.now, &fail);
}

static int admit(struct cstory_call *c)
{
    struct fail fail = {0};
    return c->call.row->admit(story.config, &c->call, story.now, &story.out, &fail);
}

/* Reads from now on are fresh for a second, and safe up to here. */
static void open_gate(uint64_t safe)
{
    read_gate_set(&gate, story.now.mono_ms + 1000, safe);
}

static void test_read__without_a_lease__goes_to_core_and_waits(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&story, "d1", "v1"), 0);
    read_gate_set(&gate, story.now.mono_ms, UINT64_MAX);
    struct cstory_call *c = query(D1);
    assert_int_equal(read_edge(c), API_TO_CORE);
    assert_int_equal(admit(c), API_LATER);
    assert_ptr_equal(kept, &c->call);
    assert_int_equal(body_len(&c->call.reply.body), 0); /* nothing was answered on the way */
    read_gate_set(&gate, story.now.mono_ms + 1, UINT64_MAX);
    assert_int_equal(read_edge(c), API_ANSWERED);
}

static void test_read__of_a_version_that_is_not_safe__waits_for_its_entry(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&story, "d1", "v1"), 0);
    uint64_t index = story.index;
    open_gate(index - 1);
    struct cstory_call *c = query(D1);
    assert_int_equal(read_edge(c), API_TO_CORE);
    assert_int_equal(admit(c), API_ANSWERED); /* and its answer waits */
    assert_int_equal(c->call.gate_index, index);
    open_gate(index);
    assert_int_equal(admit(query(D1)), API_ANSWERED);
    assert_null(kept);
    assert_int_equal(cstory_publish(&story, "d2", "other"), 0);
    assert_int_equal(read_edge(query(D1)), API_ANSWERED); /* another key's write is not its own */
}

static void test_read__of_what_is_not_there__waits_for_the_last_removal(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&story, "d1", "v1"), 0);
    open_gate(story.index);
    assert_int_equal(read_edge(query(D1)), API_ANSWERED);
    assert_int_equal(cstory_remove(&story, "d1", ""), 0);
    uint64_t index = story.index;
    struct cstory_call *c = query(D1);
    assert_int_equal(read_edge(c), API_TO_CORE);
    assert_int_equal(admit(c), E_NOT_FOUND);
    assert_int_equal(c->call.gate_index, index);
    open_gate(index);
    assert_int_equal(read_edge(c), E_NOT_FOUND);
    assert_int_equal(admit(c), E_NOT_FOUND);
}

static void test_read__of_a_gray_version__is_as_new_as_its_value(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&story, "d1", "v1"), 0);
    open_gate(story.index);
    assert_int_equal(cstory_publish_tag(&story, "d1", "t", "tagged"), 0);
    assert_int_equal(read_edge(query(D1)), API_TO_CORE);
    open_gate(story.index);
    assert_int_equal(read_edge(query(D1)), API_ANSWERED);
    assert_int_equal(cstory_remove(&story, "d1", "tag_t"), 0);
    assert_int_equal(read_edge(query(D1)), API_TO_CORE);
}

static void test_read__after_a_restart__is_as_new_as_the_tables(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&story, "d1", "v1"), 0);
    cstory_settle(&story);
    struct config_options options = cstory_options();
    options.gate = &gate;
    options.tables_index = 40;
    cstory_restart(&story, &options);
    open_gate(39);
    assert_int_equal(read_edge(query(D1)), API_TO_CORE);
    assert_int_equal(read_edge(query("{\"dataId\":\"no\",\"group\":\"g\"}")), API_TO_CORE);
    open_gate(40);
    assert_int_equal(read_edge(query(D1)), API_ANSWERED);
    assert_int_equal(read_edge(query("{\"dataId\":\"no\",\"group\":\"g\"}")), E_NOT_FOUND);
}

static void test_content__that_left_memory_and_came_back__keeps_its_entry(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&story, "d1", "v1"), 0);
    uint64_t index = story.index;
    cstory_settle(&story);
    struct config_options options = cstory_options();
    options.gate = &gate;
    options.memory_bytes_max = 1;
    options.tables_index = index;
    cstory_restart(&story, &options);
    open_gate(index);
    struct cstory_call *c = query(D1);
    assert_int_equal(read_edge(c), API_TO_CORE); /* cold */
    int next = admit(c);
    assert_int_equal(next, API_LATER);
    assert_null(kept);
    assert_int_equal(cstory_wait(&story, c), 0);
    struct config_key key = cstory_key("d1");
    const struct item *i = item_find(story.config, &key);
    assert_non_null(i);
    assert_int_equal(i->value->index, index);
}

static int find_nothing(struct db *db, struct api_call *call, struct fail *fail)
{
    (void)db;
    (void)call;
    (void)fail;
    return 0;
}

static void test_search__waits_for_a_lease_and_for_no_entry(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct cstory_call *c = cstory_call(&story);
    assert_int_equal(cstory_publish(&story, "d1", "v1"), 0);
    assert_int_equal(config_query(story.config, &c->call, find_nothing, story.now, &fail),
                     API_LATER);
    assert_ptr_equal(kept, &c->call);
    kept = NULL;
    open_gate(0);
    assert_false(config_gate_is_behind(story.config, &c->call, story.now));
    assert_null(kept);
}

static void test_read__as_it_is__waits_no_more(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&story, "d1", "v1"), 0);
    struct cstory_call *c = query(D1);
    c->call.is_as_it_is = true;
    assert_int_equal(admit(c), API_ANSWERED);
    assert_null(kept);
}

int main(void)
{
    thread_become(THREAD_CORE, "test");
#define GATE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        GATE_TEST(test_read__without_a_lease__goes_to_core_and_waits),
        GATE_TEST(test_read__of_a_version_that_is_not_safe__waits_for_its_entry),
        GATE_TEST(test_read__of_what_is_not_there__waits_for_the_last_removal),
        GATE_TEST(test_read__of_a_gray_version__is_as_new_as_its_value),
        GATE_TEST(test_read__after_a_restart__is_as_new_as_the_tables),
        GATE_TEST(test_content__that_left_memory_and_came_back__keeps_its_entry),
        GATE_TEST(test_search__waits_for_a_lease_and_for_no_entry),
        GATE_TEST(test_read__as_it_is__waits_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
