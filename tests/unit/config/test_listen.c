#include "config/listen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/thread.h"
#include "listen_bed.h"

static struct listen_bed bed;
static struct fail fail;
static char pushes[8][512];

static int setup(void **state)
{
    (void)state;
    bed_open(&bed);
    fail = (struct fail){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bed_close(&bed);
    return 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written through the request. */
static int batch(uint64_t conn, struct listen_context *list, size_t n, bool listen, bool *changed)
{
    struct listen_request r = {conn, listen, list, n, changed};
    return listen_batch(&bed.c, &r, bed.now, &fail);
}

/* One listens to one; says whether it was told to read. */
static bool hear(uint64_t conn, const char *tenant, const char *data_id, const char *md5)
{
    struct listen_context context = bed_context(tenant, data_id, md5);
    bool changed = false;
    assert_int_equal(batch(conn, &context, 1, true, &changed), 0);
    return changed;
}

static void unhear(uint64_t conn, const char *data_id)
{
    struct listen_context context = bed_context("", data_id, "");
    bool changed = true;
    assert_int_equal(batch(conn, &context, 1, false, &changed), 0);
    assert_false(changed);
}

/* End the turn; how many pushes there are. */
static size_t turn(void)
{
    listen_turn(&bed.c, bed.now, &bed.out);
    return bed_pushes(&bed, pushes, 8);
}

static void expect_push(size_t n, const char *members, const char *conns)
{
    char wanted[512];
    uint64_t id = bed.c.request_id;
    snprintf(wanted, sizeof(wanted),
             "ConfigChangeNotifyRequest {\"headers\":{},\"requestId\":\"%llu\",%s,"
             "\"module\":\"config\"} -> %s",
             (unsigned long long)id, members, conns);
    assert_string_equal(pushes[n], wanted);
}

#define D1 "\"dataId\":\"d1\",\"group\":\"DEFAULT_GROUP\""

static void test_listen__md5_of_the_version__is_not_changed(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    bed_set(&bed, "", "d1", "one");
    assert_false(hear(1, "", "d1", bed_md5("one")));
    assert_true(hear(1, "", "d1", bed_md5("other")));
    assert_true(hear(1, "", "d1", ""));
    assert_int_equal(bed.c.listen_count, 1);
    assert_int_equal(turn(), 0);
}

static void test_listen__missing_config_and_no_md5__is_not_changed(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    assert_false(hear(1, "", "d1", ""));
    assert_true(hear(1, "", "d1", bed_md5("gone")));
    assert_non_null(bed.c.items); /* stays for its listener */
}

static void test_listen__text_that_is_no_md5__is_changed(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    bed_set(&bed, "", "d1", "one");
    char longer[40];
    snprintf(longer, sizeof(longer), "%s0", bed_md5("one"));
    assert_true(hear(1, "", "d1", longer));
    assert_true(hear(1, "", "d1", "x"));
    /* Upper case is not how md5 is written. */
    char upper[40] = "";
    for (size_t i = 0; bed_md5("one")[i]; i++) {
        char c = bed_md5("one")[i];
        upper[i] = (char)(c >= 'a' ? c - 'a' + 'A' : c);
    }
    assert_true(hear(1, "", "d1", upper));
}

static void test_listen__unknown_connection__is_gone(void **state)
{
    (void)state;
    struct listen_context context = bed_context("", "d1", "");
    bool changed = false;
    assert_int_equal(batch(9, &context, 1, true, &changed), E_CLIENT_GONE);
    assert_null(bed.c.items);
}

static void test_listen__one_too_many__is_refused(void **state)
{
    (void)state;
    bed.c.options.listens_max = 1;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    assert_false(hear(1, "", "d1", ""));
    assert_false(hear(1, "", "d1", "")); /* the same again takes no room */
    struct listen_context context = bed_context("", "d2", "");
    bool changed = false;
    assert_int_equal(batch(1, &context, 1, true, &changed), E_LIMIT);
    assert_non_null(strstr(fail.text, "at most 1 listened configs"));
    assert_int_equal(bed.c.listen_count, 1);
}

static void test_unlisten__ends_it_and_frees_what_nobody_holds(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    hear(1, "", "d1", "");
    unhear(1, "d1");
    assert_null(bed.c.items);
    unhear(1, "d1"); /* again, and what never was */
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 0);
}

static void test_listens__are_cumulative(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    hear(1, "", "d1", "");
    hear(1, "", "d2", "");
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 1);
    expect_push(0, D1, "1");
}

static void test_change__is_told_once_per_turn_with_shared_bytes(void **state)
{
    (void)state;
    for (uint64_t conn = 1; conn <= 3; conn++) {
        bed_connect(&bed, conn, "10.0.0.1", NULL);
        hear(conn, "", "d1", "");
    }
    bed_set(&bed, "", "d1", "one");
    bed_set(&bed, "", "d1", "two");
    bed_set(&bed, "", "d1", "three");
    assert_int_equal(listen_deadline(&bed.c), 0);
    assert_int_equal(turn(), 1);
    expect_push(0, D1, "1 2 3");
    assert_true(bed.c.request_id >= LISTEN_REQUEST_ID_FIRST);
    assert_int_equal(atomic_load(&bed.c.counters.notifies), 3);
}

static void test_change__back_within_the_turn__is_not_told(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    bed_set(&bed, "", "d1", "one");
    hear(1, "", "d1", bed_md5("one"));
    bed_set(&bed, "", "d1", "two");
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 0);
    assert_int_equal(listen_deadline(&bed.c), DEADLINE_NONE);
}

/* What it read meanwhile is not known (Python reads and does not listen again). */
static void test_change__back_after_it_was_told__is_told_again(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    bed_set(&bed, "", "d1", "one");
    hear(1, "", "d1", bed_md5("one"));
    bed_set(&bed, "", "d1", "two");
    assert_int_equal(turn(), 1);
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 1);
    assert_false(hear(1, "", "d1", bed_md5("one")));
    assert_int_equal(listen_deadline(&bed.c), DEADLINE_NONE);
}

static void test_change__same_content__is_not_told(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    bed_set(&bed, "", "d1", "one");
    hear(1, "", "d1", bed_md5("one"));
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 0);
}

static void test_removal__is_told(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    bed_set(&bed, "", "d1", "one");
    hear(1, "", "d1", bed_md5("one"));
    assert_non_null(bed_set(&bed, "", "d1", NULL));
    assert_int_equal(turn(), 1);
    expect_push(0, D1, "1");
    assert_false(hear(1, "", "d1", ""));
}

/* Java 3.x says "public", Rust nothing, Go "": one config, each told in its own words. */
static void test_tenant__is_echoed_as_each_listener_spelt_it(void **state)
{
    (void)state;
    const char *spellings[] = {"public", "", NULL, "PUBLIC", "public", "  "};
    for (uint64_t conn = 1; conn <= 6; conn++) {
        bed_connect(&bed, conn, "10.0.0.1", NULL);
        hear(conn, spellings[conn - 1], "d1", "");
    }
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 3);
    bed.c.request_id -= 2;
    expect_push(0, D1 ",\"tenant\":\"public\"", "1 5");
    bed.c.request_id++;
    expect_push(1, D1, "2 3 6");
    bed.c.request_id++;
    expect_push(2, D1 ",\"tenant\":\"PUBLIC\"", "4");
}

static void test_tenant__with_a_name__is_sent(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    hear(1, "ns1", "d1", "");
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 0);
    bed_set(&bed, "ns1", "d1", "one");
    assert_int_equal(turn(), 1);
    expect_push(0, D1 ",\"tenant\":\"ns1\"", "1");
}

static void test_tenant__spelt_anew__is_the_newest(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    hear(1, "public", "d1", "");
    hear(1, "", "d1", "");
    assert_int_equal(bed.c.listen_count, 1);
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 1);
    expect_push(0, D1, "1");
}

static void test_notice__is_repeated_after_1_3_10_10_seconds(void **state)
{
    (void)state;
    bed.c.options.notify_tries_max = 5;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    hear(1, "", "d1", "");
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 1);
    const uint64_t gaps[] = {1000, 3000, 10000, 10000};
    for (size_t n = 0; n < 4; n++) {
        assert_int_equal(bed_next_notice(&bed), gaps[n]);
        assert_int_equal(bed_pushes(&bed, pushes, 8), 1);
        expect_push(0, D1, "1");
    }
    assert_int_equal(atomic_load(&bed.c.counters.notify_repeats), 4);
}

static void test_notice__without_reaction__ends_the_connection(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    hear(1, "", "d1", "");
    hear(1, "", "d2", "");
    bed_set(&bed, "", "d1", "one");
    bed_set(&bed, "", "d2", "one");
    assert_int_equal(turn(), 2);
    bed_next_notice(&bed);
    bed_next_notice(&bed);
    assert_int_equal(bed_pushes(&bed, pushes, 8), 4);
    bed_next_notice(&bed);
    assert_int_equal(bed.out.count, 1); /* once, for both configs */
    assert_int_equal(bed.out.list[0].kind, EFFECT_CONN_CLOSE);
    assert_int_equal(bed.out.list[0].u.close.conn, 1);
    assert_int_equal(bed.out.list[0].u.close.how, CONN_END_UNAVAILABLE);
    outbox_clear(&bed.out, 0);
    assert_int_equal(atomic_load(&bed.c.counters.notify_given_up), 2);
    assert_int_equal(listen_deadline(&bed.c), DEADLINE_NONE);
}

static void test_notice__listened_with_the_new_md5__is_over(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    hear(1, "", "d1", "");
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 1);
    assert_true(hear(1, "", "d1", "")); /* asks, has not read yet: goes on */
    assert_int_not_equal(listen_deadline(&bed.c), DEADLINE_NONE);
    assert_false(hear(1, "", "d1", bed_md5("one")));
    assert_int_equal(listen_deadline(&bed.c), DEADLINE_NONE);
}

static void test_notice__read_with_the_new_md5__is_over(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    hear(1, "", "d1", "");
    struct item *i = bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 1);
    listen_on_read(&bed.c, 1, i, span_str(bed_md5("older")));
    assert_int_not_equal(listen_deadline(&bed.c), DEADLINE_NONE);
    listen_on_read(&bed.c, 2, i, span_str(bed_md5("one"))); /* somebody else */
    assert_int_not_equal(listen_deadline(&bed.c), DEADLINE_NONE);
    listen_on_read(&bed.c, 1, i, span_str(bed_md5("one")));
    assert_int_equal(listen_deadline(&bed.c), DEADLINE_NONE);
    bed_set(&bed, "", "d1", "one"); /* it holds that: nothing to tell */
    assert_int_equal(turn(), 0);
}

static void test_notice__newer_change__starts_over(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    hear(1, "", "d1", "");
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 1);
    bed_next_notice(&bed);
    assert_int_equal(bed_pushes(&bed, pushes, 8), 1);
    bed_set(&bed, "", "d1", "two");
    assert_int_equal(turn(), 1);
    assert_int_equal(bed_next_notice(&bed), 1000);
    assert_int_equal(bed_pushes(&bed, pushes, 8), 1);
}

/* The answer of a listen says it already; it is repeated like a notice. */
static void test_notice__listen_in_the_same_turn__is_the_first_telling(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    hear(1, "", "d1", "");
    bed_set(&bed, "", "d1", "one");
    assert_true(hear(1, "", "d1", ""));
    assert_int_equal(turn(), 0);
    assert_int_equal(bed_next_notice(&bed), 1000);
    assert_int_equal(bed_pushes(&bed, pushes, 8), 1);
}

static void test_gray__only_those_whom_it_concerns_are_told(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    bed_connect(&bed, 2, "10.0.0.2", NULL);
    bed_connect(&bed, 3, "10.0.0.3", "canary");
    bed_set(&bed, "", "d1", "one");
    for (uint64_t conn = 1; conn <= 3; conn++) {
        assert_false(hear(conn, "", "d1", bed_md5("one")));
    }
    bed_set_gray(&bed, "d1", "beta", "10.0.0.9,10.0.0.2", "b");
    assert_int_equal(turn(), 1);
    expect_push(0, D1, "2");
    assert_false(hear(2, "", "d1", bed_md5("b")));
    bed_set_gray(&bed, "d1", "tag_canary", "canary", "c"); /* the beta is over */
    assert_int_equal(turn(), 1);
    expect_push(0, D1, "2 3");
}

static void test_retag__chooses_by_the_new_tag(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    bed_set_gray(&bed, "d1", "tag_canary", "canary", "c");
    assert_false(hear(1, "", "d1", ""));
    listen_retag(&bed.c, 1, SPAN("canary"));
    listen_retag(&bed.c, 1, SPAN(""));
    assert_true(hear(1, "", "d1", ""));
    assert_false(hear(1, "", "d1", bed_md5("c")));
    listen_retag(&bed.c, 7, SPAN("canary")); /* unknown: nothing */
}

static void test_close__takes_its_listens_along(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    bed_connect(&bed, 1, "10.0.0.1", NULL); /* again: nothing */
    bed_connect(&bed, 2, "10.0.0.1", NULL);
    hear(1, "", "d1", "");
    hear(1, "", "d2", "");
    hear(2, "", "d1", "");
    bed_set(&bed, "", "d1", "one"); /* due at both */
    config_conn_closed(&bed.c, 1);
    config_conn_closed(&bed.c, 1);
    assert_int_equal(bed.c.listen_count, 1);
    assert_int_equal(turn(), 1);
    expect_push(0, D1, "2");
    config_conn_closed(&bed.c, 2); /* while it is waiting */
    assert_int_equal(listen_deadline(&bed.c), DEADLINE_NONE);
    assert_int_equal(HASH_COUNT(bed.c.items), 1); /* d1 has a version */
}

/* The Go SDK acks a notice and loses it. */
static void test_ack__ends_nothing(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    hear(1, "", "d1", "");
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(turn(), 1);
    struct ack ack = {.request_id = bed.c.request_id, .ok = true};
    config_ack(&bed.c, 1, &ack, bed.now);
    assert_int_equal(bed_next_notice(&bed), 1000);
    assert_int_equal(bed_pushes(&bed, pushes, 8), 1);
}

static size_t visited;
static char last_visit[256];

static void count_visit(void *arg, struct span client_ip, const struct config_key *key,
                        struct span md5)
{
    assert_ptr_equal(arg, &visited);
    visited++;
    snprintf(last_visit, sizeof(last_visit), "%.*s %.*s %.*s", SPAN_ARG(client_ip),
             SPAN_ARG(key->data_id), SPAN_ARG(md5));
}

static void test_visits__of_an_item_and_of_an_address(void **state)
{
    (void)state;
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    bed_connect(&bed, 2, "10.0.0.2", NULL);
    hear(1, "", "d1", bed_md5("x"));
    hear(2, "", "d1", "");
    hear(2, "", "d2", "");
    struct config_key key = bed_context("", "d1", "").key;
    visited = 0;
    listen_each_of_item(item_find(&bed.c, &key), count_visit, &visited);
    assert_int_equal(visited, 2);
    visited = 0;
    listen_each_of_ip(&bed.c, SPAN("10.0.0.1"), count_visit, &visited);
    assert_int_equal(visited, 1);
    assert_non_null(strstr(last_visit, "10.0.0.1 d1 "));
    assert_non_null(strstr(last_visit, bed_md5("x")));
    struct item *nobodys = bed_set(&bed, "", "d3", "x");
    visited = 0;
    listen_each_of_item(nobodys, count_visit, &visited);
    assert_int_equal(visited, 0);
}

static uint64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* Issue 4, 5: ten thousand listens in one request are one pass. The bound is generous: a debug
 * build with sanitizers takes some 30 ms; a second walk for each would take minutes. */
static void test_listen__ten_thousand__is_one_pass(void **state)
{
    (void)state;
    static struct listen_context list[LISTEN_CONTEXTS_MAX];
    static char names[LISTEN_CONTEXTS_MAX][24];
    static bool changed[LISTEN_CONTEXTS_MAX];
    for (size_t n = 0; n < LISTEN_CONTEXTS_MAX; n++) {
        snprintf(names[n], sizeof(names[n]), "config-%zu", n);
        list[n] = bed_context("public", names[n], n % 2 ? "" : bed_md5("x"));
    }
    bed_connect(&bed, 1, "10.0.0.1", NULL);
    uint64_t from = cpu_us();
    for (int round = 0; round < 2; round++) {
        assert_int_equal(batch(1, list, LISTEN_CONTEXTS_MAX, true, changed), 0);
    }
    uint64_t took = cpu_us() - from;
    print_message("20000 listens: %llu us\n", (unsigned long long)took);
    assert_true(took < 2000000);
    assert_true(changed[0]);
    assert_false(changed[1]);
    assert_int_equal(bed.c.listen_count, LISTEN_CONTEXTS_MAX);
    assert_int_equal(batch(1, list, LISTEN_CONTEXTS_MAX, false, changed), 0);
    assert_int_equal(bed.c.listen_count, 0);
}

static void test_change__of_ten_thousand_listeners__is_one_push(void **state)
{
    (void)state;
    for (uint64_t conn = 1; conn <= 10000; conn++) {
        bed_connect(&bed, conn, "10.0.0.1", NULL);
        hear(conn, "", "d1", "");
    }
    uint64_t from = cpu_us();
    bed_set(&bed, "", "d1", "one");
    listen_turn(&bed.c, bed.now, &bed.out);
    print_message("10000 notices: %llu us\n", (unsigned long long)(cpu_us() - from));
    assert_int_equal(bed.out.count, 1);
    assert_int_equal(bed.out.list[0].u.push.count, 10000);
    outbox_clear(&bed.out, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        TEST(test_listen__md5_of_the_version__is_not_changed),
        TEST(test_listen__missing_config_and_no_md5__is_not_changed),
        TEST(test_listen__text_that_is_no_md5__is_changed),
        TEST(test_listen__unknown_connection__is_gone),
        TEST(test_listen__one_too_many__is_refused),
        TEST(test_unlisten__ends_it_and_frees_what_nobody_holds),
        TEST(test_listens__are_cumulative),
        TEST(test_change__is_told_once_per_turn_with_shared_bytes),
        TEST(test_change__back_within_the_turn__is_not_told),
        TEST(test_change__back_after_it_was_told__is_told_again),
        TEST(test_change__same_content__is_not_told),
        TEST(test_removal__is_told),
        TEST(test_tenant__is_echoed_as_each_listener_spelt_it),
        TEST(test_tenant__with_a_name__is_sent),
        TEST(test_tenant__spelt_anew__is_the_newest),
        TEST(test_notice__is_repeated_after_1_3_10_10_seconds),
        TEST(test_notice__without_reaction__ends_the_connection),
        TEST(test_notice__listened_with_the_new_md5__is_over),
        TEST(test_notice__read_with_the_new_md5__is_over),
        TEST(test_notice__newer_change__starts_over),
        TEST(test_notice__listen_in_the_same_turn__is_the_first_telling),
        TEST(test_gray__only_those_whom_it_concerns_are_told),
        TEST(test_retag__chooses_by_the_new_tag),
        TEST(test_close__takes_its_listens_along),
        TEST(test_ack__ends_nothing),
        TEST(test_visits__of_an_item_and_of_an_address),
        TEST(test_listen__ten_thousand__is_one_pass),
        TEST(test_change__of_ten_thousand_listeners__is_one_push),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
