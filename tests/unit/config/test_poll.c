#include "config/poll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/row.h"
#include "base/mem.h"
#include "base/thread.h"
#include "listen_bed.h"

static struct listen_bed bed;
static struct fail fail;

/* A call with its request, as the decoder leaves it. */
struct asked {
    struct api_call call;
    struct poll_request request;
    struct listen_context list[4];
};

static struct asked asked[3];

static int setup(void **state)
{
    (void)state;
    bed_open(&bed);
    fail = (struct fail){0};
    memset(asked, 0, sizeof(asked));
    for (size_t i = 0; i < 3; i++) {
        struct asked *a = &asked[i];
        arena_init(&a->call.arena, API_ARENA_MAX);
        a->request = (struct poll_request){
            .list = a->list,
            .reader = {.client_ip = SPAN("10.0.0.1")},
            .is_long = true,
            .hold_ms = 29500,
        };
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        body_close(&asked[i].call.reply.body);
        arena_close(&asked[i].call.arena);
    }
    bed_close(&bed);
    return 0;
}

static void names(struct asked *a, const char *tenant, const char *data_id, const char *content)
{
    a->list[a->request.count++] = bed_context(tenant, data_id, bed_md5(content));
}

static int admit(struct asked *a)
{
    return poll_admit(&bed.c, &a->call, &a->request, bed.now, &bed.out, &fail);
}

static const char *body(const struct asked *a)
{
    static char text[512];
    assert_true(body_len(&a->call.reply.body) < sizeof(text));
    memset(text, 0, sizeof(text));
    body_copy(&a->call.reply.body, text);
    return text;
}

/* How many answers are on their way; forgets them. */
static size_t replies(void)
{
    size_t count = bed.out.count;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(bed.out.list[i].kind, EFFECT_REPLY);
    }
    outbox_clear(&bed.out, 0);
    return count;
}

static bool has_header(const struct asked *a, const char *name, const char *value)
{
    for (unsigned i = 0; i < a->call.reply.headers_count; i++) {
        if (strcmp(a->call.reply.headers[i].name, name) == 0) {
            return span_eq(a->call.reply.headers[i].value, span_str(value));
        }
    }
    return false;
}

static void test_admit__something_differs__is_answered_with_all_of_it(void **state)
{
    (void)state;
    bed_set(&bed, "", "d1", "one");
    bed_set(&bed, "ns1", "d:2", "two");
    names(&asked[0], NULL, "d1", "older");
    names(&asked[0], NULL, "same", NULL);
    names(&asked[0], "ns1", "d:2", NULL);
    assert_int_equal(admit(&asked[0]), API_ANSWERED);
    assert_string_equal(body(&asked[0]), "d1%02DEFAULT_GROUP%01d%3A2%02DEFAULT_GROUP%02ns1%01\n");
    assert_true(has_header(&asked[0], "Cache-Control", "no-cache,no-store"));
    assert_true(has_header(&asked[0], "Pragma", "no-cache"));
    assert_true(has_header(&asked[0], "Expires", "Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_int_equal(bed.c.poll_count, 0);
}

/* Nacos answers a listener in "public" at once, for ever. */
static void test_admit__tenant_public__is_the_default_and_echoed(void **state)
{
    (void)state;
    bed_set(&bed, "", "d1", "one");
    names(&asked[0], "public", "d1", "one");
    assert_int_equal(admit(&asked[0]), API_LATER);
    bed_set(&bed, "", "d1", "two");
    assert_int_equal(replies(), 1);
    assert_string_equal(body(&asked[0]), "d1%02DEFAULT_GROUP%02public%01\n");
}

static void test_admit__no_hangup__is_answered_empty(void **state)
{
    (void)state;
    asked[0].request.no_hangup = true;
    names(&asked[0], NULL, "d1", NULL);
    assert_int_equal(admit(&asked[0]), API_ANSWERED);
    assert_string_equal(body(&asked[0]), "");
    assert_int_equal(asked[0].call.reply.headers_count, 0);
}

static void test_short_poll__of_an_old_client__is_answered_in_headers(void **state)
{
    (void)state;
    bed_set(&bed, "", "d1", "one");
    asked[0].request.is_long = false;
    asked[0].request.in_headers = true;
    names(&asked[0], "public", "d1", NULL);
    assert_int_equal(admit(&asked[0]), API_ANSWERED);
    assert_string_equal(body(&asked[0]), "");
    assert_true(has_header(&asked[0], "Probe-Modify-Response", "d1:DEFAULT_GROUP;"));
    assert_true(
        has_header(&asked[0], "Probe-Modify-Response-New", "d1%02DEFAULT_GROUP%02public%01"));
    assert_true(has_header(&asked[0], "Pragma", "no-cache"));
}

/* DIFF(short-poll-body): Nacos forgets to write it. */
static void test_short_poll__of_a_newer_client__is_answered_in_the_body(void **state)
{
    (void)state;
    bed_set(&bed, "", "d1", "one");
    asked[0].request.is_long = false;
    names(&asked[0], NULL, "d1", NULL);
    assert_int_equal(admit(&asked[0]), API_ANSWERED);
    assert_string_equal(body(&asked[0]), "d1%02DEFAULT_GROUP%01\n");
    asked[1].request.is_long = false;
    names(&asked[1], NULL, "d1", "one");
    assert_int_equal(admit(&asked[1]), API_ANSWERED);
    assert_string_equal(body(&asked[1]), "");
    assert_true(has_header(&asked[1], "Pragma", "no-cache"));
}

static void test_held__change__is_answered_with_the_one_that_changed(void **state)
{
    (void)state;
    bed_set(&bed, "", "d1", "one");
    names(&asked[0], NULL, "d1", "one");
    names(&asked[0], NULL, "d2", NULL);
    assert_int_equal(admit(&asked[0]), API_LATER);
    assert_int_equal(bed.c.poll_key_count, 2);
    bed_set(&bed, "", "d2", "new");
    assert_int_equal(replies(), 1);
    assert_string_equal(body(&asked[0]), "d2%02DEFAULT_GROUP%01\n");
    assert_int_equal(bed.c.poll_key_count, 0);
    assert_int_equal(poll_deadline(&bed.c), DEADLINE_NONE);
}

static void test_held__removal_and_the_last_of_a_missing_config__are_safe(void **state)
{
    (void)state;
    bed_set(&bed, "", "d1", "one");
    names(&asked[0], NULL, "d1", "one");
    names(&asked[0], NULL, "none", NULL); /* its item lives by this poll alone */
    assert_int_equal(admit(&asked[0]), API_LATER);
    assert_null(bed_set(&bed, "", "d1", NULL)); /* freed by the caller, not by the poll */
    assert_int_equal(replies(), 1);
    assert_null(bed.c.items);
}

static void test_held__change_to_what_it_holds__is_not_answered(void **state)
{
    (void)state;
    bed_set(&bed, "", "d1", "one");
    names(&asked[0], NULL, "d1", "one");
    assert_int_equal(admit(&asked[0]), API_LATER);
    bed_set(&bed, "", "d1", "one");
    bed_set_gray(&bed, "d1", "beta", "10.9.9.9", "beta");
    assert_int_equal(replies(), 0);
    bed_set_gray(&bed, "d1", "beta", "10.0.0.1", "beta");
    assert_int_equal(replies(), 1);
}

static void test_held__same_config_twice__is_answered_once(void **state)
{
    (void)state;
    names(&asked[0], NULL, "d1", NULL);
    names(&asked[0], "public", "d1", NULL);
    names(&asked[0], NULL, "d1", NULL);
    names(&asked[1], NULL, "d1", NULL);
    assert_int_equal(admit(&asked[0]), API_LATER);
    assert_int_equal(admit(&asked[1]), API_LATER);
    bed_set(&bed, "", "d1", "one");
    assert_int_equal(replies(), 2);
    assert_string_equal(body(&asked[0]), "d1%02DEFAULT_GROUP%01\n");
    assert_string_equal(body(&asked[1]), "d1%02DEFAULT_GROUP%01\n");
}

static void test_hold__ends_empty_after_its_time(void **state)
{
    (void)state;
    names(&asked[0], NULL, "d1", NULL);
    asked[1].request.hold_ms = 3;
    names(&asked[1], NULL, "d1", NULL);
    assert_int_equal(admit(&asked[0]), API_LATER);
    assert_int_equal(admit(&asked[1]), API_LATER);
    assert_int_equal(poll_deadline(&bed.c), bed.now.mono_ms + 10000); /* the least */
    bed.now.mono_ms += 9999;
    poll_turn(&bed.c, bed.now, &bed.out);
    assert_int_equal(replies(), 0);
    bed.now.mono_ms += 1;
    poll_turn(&bed.c, bed.now, &bed.out);
    assert_int_equal(replies(), 1);
    assert_string_equal(body(&asked[1]), "");
    assert_int_equal(asked[1].call.reply.headers_count, 0);
    bed.now.mono_ms += 19500;
    poll_turn(&bed.c, bed.now, &bed.out);
    assert_int_equal(replies(), 1);
    assert_null(bed.c.items);
}

static void test_hold__one_too_many__is_503(void **state)
{
    (void)state;
    bed.c.options.polls_max = 1;
    names(&asked[0], NULL, "d1", NULL);
    names(&asked[1], NULL, "d1", NULL);
    assert_int_equal(admit(&asked[0]), API_LATER);
    assert_int_equal(admit(&asked[1]), E_LIMIT);
    assert_non_null(strstr(fail.text, "at most 1 long polls"));
    assert_int_equal(bed.c.poll_count, 1);
    poll_stop(&bed.c, &bed.out);
    assert_int_equal(replies(), 1);
}

static void test_hold__too_many_keys__is_503(void **state)
{
    (void)state;
    names(&asked[0], NULL, "d1", NULL);
    bed.c.poll_key_count = POLL_KEYS_MAX;
    assert_int_equal(admit(&asked[0]), E_LIMIT);
    assert_null(bed.c.items);
    bed.c.poll_key_count = 0;
}

static void test_stop__answers_all_empty(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        names(&asked[i], NULL, "d1", NULL);
        assert_int_equal(admit(&asked[i]), API_LATER);
    }
    poll_stop(&bed.c, &bed.out);
    assert_int_equal(replies(), 3);
    assert_string_equal(body(&asked[2]), "");
    assert_int_equal(bed.c.poll_count, 0);
}

static size_t visited;

static void count_visit(void *arg, struct span client_ip, const struct config_key *key,
                        struct span md5)
{
    assert_ptr_equal(arg, &visited);
    assert_true(span_eq(client_ip, SPAN("10.0.0.1")));
    assert_int_equal(key->data_id.len, 2);
    assert_int_equal(md5.len, 0);
    visited++;
}

static void test_visits__of_an_item_and_of_an_address(void **state)
{
    (void)state;
    names(&asked[0], NULL, "d1", NULL);
    names(&asked[0], NULL, "d2", NULL);
    names(&asked[1], NULL, "d1", NULL);
    asked[1].request.reader.client_ip = SPAN("10.0.0.2");
    assert_int_equal(admit(&asked[0]), API_LATER);
    assert_int_equal(admit(&asked[1]), API_LATER);
    visited = 0;
    poll_each_of_ip(&bed.c, SPAN("10.0.0.1"), count_visit, &visited);
    assert_int_equal(visited, 2);
    asked[1].request.reader.client_ip = SPAN("10.0.0.1");
    visited = 0;
    poll_each_of_item(item_find(&bed.c, &asked[0].list[0].key), count_visit, &visited);
    assert_int_equal(visited, 2);
    poll_stop(&bed.c, &bed.out);
    assert_int_equal(replies(), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        TEST(test_admit__something_differs__is_answered_with_all_of_it),
        TEST(test_admit__tenant_public__is_the_default_and_echoed),
        TEST(test_admit__no_hangup__is_answered_empty),
        TEST(test_short_poll__of_an_old_client__is_answered_in_headers),
        TEST(test_short_poll__of_a_newer_client__is_answered_in_the_body),
        TEST(test_held__change__is_answered_with_the_one_that_changed),
        TEST(test_held__removal_and_the_last_of_a_missing_config__are_safe),
        TEST(test_held__change_to_what_it_holds__is_not_answered),
        TEST(test_held__same_config_twice__is_answered_once),
        TEST(test_hold__ends_empty_after_its_time),
        TEST(test_hold__one_too_many__is_503),
        TEST(test_hold__too_many_keys__is_503),
        TEST(test_stop__answers_all_empty),
        TEST(test_visits__of_an_item_and_of_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
