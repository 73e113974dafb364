#include "config/remove_ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/row.h"
#include "config_harness.h"

static int setup(void **state)
{
    struct cstory *s = calloc(1, sizeof(*s));
    cstory_begin(s, NULL);
    assert_int_equal(cstory_publish(s, "a", "A"), 0); /* id 1 */
    assert_int_equal(cstory_publish(s, "b", "B"), 0); /* id 2 */
    assert_int_equal(cstory_publish_tag(s, "b", "t", "tagged"), 0);
    assert_int_equal(cstory_publish(s, "c", "C"), 0); /* id 4 */
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    cstory_end(*state);
    free(*state);
    return 0;
}

static const struct config_reader anyone = {.client_ip = {"10.0.0.1", 8}};

static const struct db_stmt removals = {
    .name = "removals",
    .sql_sqlite = "SELECT count(*) FROM his_config_info WHERE op_type = 'D' AND src_user = 'joe'"};

/* Begin the removal of ids; the call is open. */
static struct cstory_call *begin(struct cstory *s, const uint64_t *ids, size_t count, int *ret_next)
{
    struct cstory_call *c = cstory_call(s);
    struct remove_ids *what = arena_alloc(&c->call.arena, sizeof(*what));
    uint64_t *copy = arena_alloc(&c->call.arena, (count + 1) * sizeof(*copy));
    memcpy(copy, ids, count * sizeof(*copy));
    *what = (struct remove_ids){copy, count, {SPAN("joe"), SPAN("10.0.0.7")}};
    struct fail fail = {0};
    *ret_next = remove_ids_start(s->config, what, &c->call, &fail);
    return c;
}

static void remove_all(struct cstory *s, const uint64_t *ids, size_t count)
{
    int next = 0;
    struct cstory_call *c = begin(s, ids, count, &next);
    assert_int_equal(next, API_LATER);
    assert_int_equal(cstory_wait(s, c), 0);
}

static void test_remove__ids__go_with_their_history_gray_ones_stay(void **state)
{
    struct cstory *s = *state;
    const uint64_t ids[] = {1, 2};
    remove_all(s, ids, ARRAY_LEN(ids));
    assert_null(cstory_read(s, "a", &anyone));
    assert_null(cstory_read(s, "b", &anyone));
    const struct config_reader tagged = {.client_ip = SPAN("10.0.0.1"), .tag = SPAN("t")};
    assert_string_equal(cstory_read(s, "b", &tagged), "tagged");
    assert_string_equal(cstory_read(s, "c", &anyone), "C");
    assert_int_equal(cstory_number(s, &removals), 2);
}

static void test_remove__unknown_and_doubled_ids__are_skipped(void **state)
{
    struct cstory *s = *state;
    const uint64_t ids[] = {99999998, 4, 4, 0, 3};
    remove_all(s, ids, ARRAY_LEN(ids));
    assert_null(cstory_read(s, "c", &anyone));
    assert_int_equal(cstory_number(s, &removals), 1);
    remove_all(s, ids, ARRAY_LEN(ids));
    assert_int_equal(cstory_number(s, &removals), 1);
}

static void test_remove__nothing__is_answered_at_once(void **state)
{
    struct cstory *s = *state;
    const uint64_t none = 0;
    int next = API_LATER;
    struct cstory_call *c = begin(s, &none, 0, &next);
    assert_int_equal(next, API_ANSWERED);
    c->answered = true;
}

static void test_remove__as_many_as_may__are_one_call(void **state)
{
    struct cstory *s = *state;
    uint64_t ids[REMOVE_IDS_MAX];
    for (size_t i = 0; i < REMOVE_IDS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%zu", i);
        assert_int_equal(cstory_publish(s, name, "x"), 0);
        ids[i] = cstory_item(s, name)->id;
    }
    remove_all(s, ids, REMOVE_IDS_MAX);
    assert_int_equal(config_stats(s->config).configs, 3);
}

static void test_remove__config_goes_while_the_key_is_looked_for__is_success(void **state)
{
    struct cstory *s = *state;
    const uint64_t ids[] = {1};
    int next = 0;
    struct cstory_call *c = begin(s, ids, 1, &next);
    assert_int_equal(next, API_LATER);
    assert_int_equal(cstory_remove(s, "a", ""), 0);
    assert_int_equal(cstory_wait(s, c), 0);
    assert_null(cstory_read(s, "a", &anyone));
}

static void test_stop__what_was_found_is_answered_closed(void **state)
{
    struct cstory *s = *state;
    const uint64_t ids[] = {1};
    int next = 0;
    cstory_settle(s);
    struct cstory_call *c = begin(s, ids, 1, &next);
    assert_int_equal(next, API_LATER);
    while (!s->config->removals_ended) {
        (void)db_worker_collect(s->worker);
    }
    remove_ids_stop(s->config, &s->out);
    assert_null(s->config->removals_ended);
    assert_int_equal(s->out.count, 1);
    assert_ptr_equal(s->out.list[0].u.reply.call, &c->call);
    assert_int_equal(c->call.reply.fail.code, E_CLOSED);
    outbox_clear(&s->out, 0);
    c->answered = true;
    assert_string_equal(cstory_read(s, "a", &anyone), "A");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_remove__ids__go_with_their_history_gray_ones_stay),
        T(test_remove__unknown_and_doubled_ids__are_skipped),
        T(test_remove__nothing__is_answered_at_once),
        T(test_remove__as_many_as_may__are_one_call),
        T(test_remove__config_goes_while_the_key_is_looked_for__is_success),
        T(test_stop__what_was_found_is_answered_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
