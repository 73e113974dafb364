/* gRPC requests from their JSON to their answer: byte for byte what a Nacos 2.5.1 sent the same
 * clients (golden grpc: config-crud, config-listen, config-beta, refused). */
#include "config/config_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "config/listen.h"
#include "config_harness.h"
#include "wire/response.h"

#define SUCCESS "{\"resultCode\":200,\"errorCode\":0,\"success\":true}"
#define MISSING                                                                                    \
    "{\"resultCode\":500,\"errorCode\":300,\"message\":\"config data not exist\","                 \
    "\"lastModified\":0,\"beta\":false,\"success\":false}"
#define NONE_CHANGED "{\"resultCode\":200,\"errorCode\":0,\"changedConfigs\":[],\"success\":true}"
#define MD5_V1 "6654c734ccab8f440ff0825eb443dc7f"
#define MD5_V2 "1b267619c4812cc46ee281747884ca50"
#define D1 "\"dataId\":\"d1\",\"group\":\"DEFAULT_GROUP\",\"tenant\":\"\""
#define QUERY "{" D1 "}"
#define PUBLISH(content) "{" D1 ",\"content\":\"" content "\",\"additionMap\":{}}"
#define LISTEN(md5, tenant)                                                                        \
    "{\"listen\":true,\"configListenContexts\":[{\"group\":\"DEFAULT_GROUP\",\"md5\":\"" md5       \
    "\",\"dataId\":\"d1\",\"tenant\":\"" tenant "\"}]}"
#define CHANGED(tenant)                                                                            \
    "{\"resultCode\":200,\"errorCode\":0,\"changedConfigs\":[{\"group\":\"DEFAULT_GROUP\","        \
    "\"dataId\":\"d1\",\"tenant\":\"" tenant "\"}],\"success\":true}"

static struct cstory story;
static struct api_caller who;
static bool was_read; /* the last call was answered without the core */

static int setup(void **state)
{
    (void)state;
    cstory_begin(&story, NULL);
    who = (struct api_caller){
        .conn = 1, .client_ip = SPAN("10.0.0.1"), .remote_ip = SPAN("10.0.0.1")};
    for (uint64_t conn = 1; conn <= 2; conn++) {
        struct config_conn open = {.conn = conn, .id = SPAN("id"), .client_ip = SPAN("10.0.0.1")};
        config_conn_open(story.config, &open, story.now);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cstory_end(&story);
    return 0;
}

static const struct api_row *row_of(const char *type)
{
    size_t count = 0;
    const struct api_row *rows = config_rpc_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, type) == 0) {
            return &rows[i];
        }
    }
    print_error("no row %s\n", type);
    abort();
}

/* Run a call as far as it goes in this turn. */
static struct cstory_call *begin(const char *type, const char *json)
{
    struct cstory_call *c = cstory_call(&story);
    struct api_call *call = &c->call;
    struct fail fail = {0};
    call->row = row_of(type);
    call->caller = who;
    int next = call->row->decode_rpc(call, span_str(json), &fail);
    if (next == 0 && call->row->read) {
        next = call->row->read(config_edge(story.config), call, story.now, &fail);
    } else if (next == 0) {
        next = API_TO_CORE;
    }
    was_read = next != API_TO_CORE;
    if (next == API_TO_CORE) {
        next = call->row->admit(story.config, call, story.now, &story.out, &fail);
    }
    if (next < 0) {
        fail.code = next;
        body_close(&call->reply.body);
        call->reply.fail = fail;
        c->answered = true;
    } else if (next == API_ANSWERED) {
        c->answered = true;
    }
    return c;
}

/* The body as rpc/answer.c writes it. */
static char *text_of(struct cstory_call *c)
{
    struct api_reply *reply = &c->call.reply;
    if (reply->fail.code < 0) {
        struct json_out j;
        json_init(&j, 0);
        response_fail(&j, &reply->fail, span_str(c->call.row->fail_extra));
        struct buf *b = json_take(&j);
        body_add_buf(&reply->body, b);
        reply->fail.code = 0;
    }
    size_t len = body_len(&reply->body);
    char *text = arena_alloc(&c->call.arena, len + 1);
    body_copy(&reply->body, text);
    return text;
}

static const char *ask(const char *type, const char *json)
{
    struct cstory_call *c = begin(type, json);
    (void)cstory_wait(&story, c);
    return text_of(c);
}

static void expect(const char *type, const char *json, const char *wanted)
{
    assert_string_equal(ask(type, json), wanted);
}

static void contains(const char *type, const char *json, const char *part)
{
    const char *text = ask(type, json);
    if (!strstr(text, part)) {
        fail_msg("%s lacks %s", text, part);
    }
}

static size_t pushes(void)
{
    size_t count = 0;
    for (const struct cstory_push *p = story.pushes; p; p = p->next) {
        count++;
    }
    return count;
}

static void test_publish__then_query__answers_from_the_view(void **state)
{
    (void)state;
    expect("ConfigQueryRequest", QUERY, MISSING);
    assert_true(was_read);
    expect("ConfigPublishRequest", PUBLISH("v1"), SUCCESS);
    contains("ConfigQueryRequest", QUERY,
             "{\"resultCode\":200,\"errorCode\":0,\"content\":\"v1\",\"encryptedDataKey\":\"\","
             "\"contentType\":\"text\",\"md5\":\"" MD5_V1 "\",\"lastModified\":");
    assert_true(was_read);
    contains("ConfigQueryRequest", "{\"dataId\":\"d1\",\"group\":\"DEFAULT_GROUP\"}", MD5_V1);
    contains("ConfigQueryRequest",
             "{\"dataId\":\"d1\",\"group\":\"DEFAULT_GROUP\",\"tenant\":\"public\"}", MD5_V1);
}

static void test_publish__with_a_tag_and_beta__are_read_by_whom_they_are_for(void **state)
{
    (void)state;
    expect("ConfigPublishRequest", PUBLISH("v1"), SUCCESS);
    expect("ConfigPublishRequest",
           "{" D1 ",\"content\":\"tagged\",\"additionMap\":{\"tag\":\"canary\"}}", SUCCESS);
    expect("ConfigPublishRequest",
           "{" D1 ",\"content\":\"beta\",\"additionMap\":{\"betaIps\":\"10.0.0.7\"}}", SUCCESS);
    contains("ConfigQueryRequest", QUERY, "\"content\":\"v1\"");
    contains("ConfigQueryRequest", "{" D1 ",\"tag\":\"canary\"}", "\"content\":\"tagged\"");
    expect("ConfigQueryRequest", "{" D1 ",\"tag\":\"other\"}", MISSING);
    who.tag = SPAN("canary");
    contains("ConfigQueryRequest", QUERY, "\"content\":\"tagged\"");
    who.tag = SPAN("other"); /* falls back */
    contains("ConfigQueryRequest", QUERY, "\"content\":\"v1\"");
    who.client_ip = SPAN("10.0.0.7");
    contains("ConfigQueryRequest", QUERY, "\"content\":\"beta\"");
    contains("ConfigQueryRequest", QUERY, "\"beta\":true");
    who.client_ip = SPAN("10.0.0.1");
    expect("ConfigRemoveRequest", "{" D1 ",\"tag\":\"canary\"}", SUCCESS);
    expect("ConfigQueryRequest", "{" D1 ",\"tag\":\"canary\"}", MISSING);
}

/* golden grpc refused; grpc-sdk.md 5.3.2. */
static void test_publish__what_is_wrong__is_said_in_the_typed_answer(void **state)
{
    (void)state;
    expect("ConfigPublishRequest",
           "{\"dataId\":\"a b\",\"group\":\"g\",\"content\":\"x\",\"additionMap\":{}}",
           "{\"resultCode\":500,\"errorCode\":400,\"message\":\"Param check invalid:Param 'dataId' "
           "is illegal, illegal characters should not appear in the param.\",\"success\":false}");
    assert_true(was_read); /* the core never saw it */
    contains("ConfigPublishRequest", PUBLISH(""),
             "\"errorCode\":400,\"message\":\"content is blank : ");
    contains("ConfigPublishRequest", "{" D1 ",\"content\":\"x\",\"additionMap\":{\"tag\":\"a b\"}}",
             "\"errorCode\":500,\"message\":\"invalid tag : a b\"");
    expect("ConfigPublishRequest", PUBLISH("v1"), SUCCESS);
    expect("ConfigPublishRequest", "{" D1 ",\"content\":\"v2\",\"casMd5\":\"" MD5_V2 "\"}",
           "{\"resultCode\":500,\"errorCode\":500,\"message\":\"Cas publish fail, server md5 may "
           "have changed.\",\"success\":false}");
    expect("ConfigPublishRequest", "{" D1 ",\"content\":\"v2\",\"casMd5\":\"" MD5_V1 "\"}",
           SUCCESS);
}

static void test_query__what_is_wrong__has_the_keys_that_clients_read(void **state)
{
    (void)state;
    expect("ConfigQueryRequest", "{\"dataId\":\"a b\",\"group\":\"g\"}",
           "{\"resultCode\":500,\"errorCode\":400,\"message\":\"Param check invalid:Param 'dataId' "
           "is illegal, illegal characters should not appear in the param.\",\"lastModified\":0,"
           "\"beta\":false,\"success\":false}");
    contains("ConfigBatchListenRequest",
             "{\"configListenContexts\":[{\"dataId\":\"a b\",\"group\":\"g\"}]}",
             "\"changedConfigs\":[],\"success\":false}");
}

static void test_remove__is_a_success_whatever_was_there(void **state)
{
    (void)state;
    expect("ConfigRemoveRequest", QUERY, SUCCESS);
    expect("ConfigPublishRequest", PUBLISH("v1"), SUCCESS);
    expect("ConfigRemoveRequest", QUERY, SUCCESS);
    expect("ConfigQueryRequest", QUERY, MISSING);
}

static void test_publish__author_and_address__are_in_the_history(void **state)
{
    (void)state;
    who.client_ip = SPAN("");
    who.remote_ip = SPAN("10.0.0.8");
    expect("ConfigPublishRequest",
           "{" D1 ",\"content\":\"v1\",\"additionMap\":{\"src_user\":\"me\"}}", SUCCESS);
    static const struct db_stmt count = {
        .name = "count",
        .sql_sqlite =
            "SELECT count(*) FROM his_config_info WHERE src_user = 'me' AND src_ip = '10.0.0.8'"};
    assert_int_equal(cstory_number(&story, &count), 1);
}

/* golden grpc config-listen, Java: listen, notice, listen, read, listen. */
static void test_listen__a_whole_round(void **state)
{
    (void)state;
    expect("ConfigPublishRequest", PUBLISH("v1"), SUCCESS);
    expect("ConfigBatchListenRequest", LISTEN("", ""), CHANGED(""));
    expect("ConfigBatchListenRequest", LISTEN(MD5_V1, ""), NONE_CHANGED);
    assert_int_equal(pushes(), 0);
    expect("ConfigPublishRequest", PUBLISH("v2"), SUCCESS);
    assert_int_equal(pushes(), 1);
    assert_int_equal(story.pushes->conn, 1);
    assert_non_null(strstr(story.pushes->json,
                           "\"requestId\":\"549755813888\",\"dataId\":\"d1\","
                           "\"group\":\"DEFAULT_GROUP\",\"module\":\"config\"}"));
    expect("ConfigBatchListenRequest", LISTEN(MD5_V1, ""), CHANGED(""));
    who.notified = true;
    contains("ConfigQueryRequest", QUERY, "\"content\":\"v2\"");
    assert_false(was_read);
    who.notified = false;
    cstory_advance(&story, 60000); /* the read has ended the repetition */
    assert_int_equal(pushes(), 1);
    expect("ConfigBatchListenRequest", LISTEN(MD5_V2, ""), NONE_CHANGED);
}

/* DIFF(public-tenant) */
static void test_listen__public__hears_and_is_echoed(void **state)
{
    (void)state;
    expect("ConfigPublishRequest", PUBLISH("v1"), SUCCESS);
    expect("ConfigBatchListenRequest", LISTEN(MD5_V1, "public"), NONE_CHANGED);
    expect("ConfigBatchListenRequest", LISTEN("", "public"), CHANGED("public"));
    expect("ConfigBatchListenRequest", LISTEN(MD5_V1, "public"), NONE_CHANGED);
    expect("ConfigRemoveRequest", QUERY, SUCCESS);
    assert_int_equal(pushes(), 1);
    assert_non_null(strstr(story.pushes->json, "\"tenant\":\"public\""));
}

static void test_unlisten__nothing_more_comes(void **state)
{
    (void)state;
    expect("ConfigBatchListenRequest", LISTEN("", ""), NONE_CHANGED);
    expect("ConfigBatchListenRequest",
           "{\"listen\":false,\"configListenContexts\":[{\"group\":\"DEFAULT_GROUP\","
           "\"dataId\":\"d1\",\"tenant\":\"\"}]}",
           NONE_CHANGED);
    expect("ConfigPublishRequest", PUBLISH("v1"), SUCCESS);
    assert_int_equal(pushes(), 0);
}

static void test_listen__unknown_connection__is_gone(void **state)
{
    (void)state;
    who.conn = 99;
    contains("ConfigBatchListenRequest", LISTEN("", ""), "\"errorCode\":-401");
}

static void test_listen__header_tag__chooses_the_version(void **state)
{
    (void)state;
    expect("ConfigPublishRequest",
           "{" D1 ",\"content\":\"v1\",\"additionMap\":{\"tag\":\"canary\"}}", SUCCESS);
    expect("ConfigBatchListenRequest", LISTEN("", ""), NONE_CHANGED);
    who.tag = SPAN("canary");
    expect("ConfigBatchListenRequest", LISTEN("", ""), CHANGED(""));
    expect("ConfigBatchListenRequest", LISTEN(MD5_V1, ""), NONE_CHANGED);
}

/* A read of a named tag says nothing about what the client listens to. */
static void test_notified_read__of_a_named_tag__ends_nothing(void **state)
{
    (void)state;
    expect("ConfigBatchListenRequest", LISTEN("", ""), NONE_CHANGED);
    expect("ConfigPublishRequest", PUBLISH("v1"), SUCCESS);
    assert_int_equal(pushes(), 1);
    who.notified = true;
    expect("ConfigQueryRequest", "{" D1 ",\"tag\":\"x\"}", MISSING);
    cstory_advance(&story, 1000);
    assert_int_equal(pushes(), 2);
    contains("ConfigQueryRequest", QUERY, MD5_V1);
    cstory_advance(&story, 20000);
    assert_int_equal(pushes(), 2);
}

static void test_query__cold_content__is_loaded_once_for_all(void **state)
{
    (void)state;
    expect("ConfigPublishRequest", PUBLISH("v1"), SUCCESS);
    struct config_options options = cstory_options();
    options.memory_bytes_max = 0;
    cstory_settle(&story);
    cstory_restart(&story, &options);
    assert_null(cstory_item(&story, "d1")->value->formal->content);
    struct cstory_call *first = begin("ConfigQueryRequest", QUERY);
    struct cstory_call *second = begin("ConfigQueryRequest", QUERY);
    assert_false(was_read);
    assert_int_equal(cstory_wait(&story, first), 0);
    assert_int_equal(cstory_wait(&story, second), 0);
    assert_non_null(strstr(text_of(first), "\"content\":\"v1\""));
    assert_non_null(strstr(text_of(second), "\"content\":\"v1\""));
}

/* The config goes while its content is on its way. */
static void test_query__cold_and_removed_meanwhile__is_missing(void **state)
{
    (void)state;
    expect("ConfigPublishRequest", PUBLISH("v1"), SUCCESS);
    struct config_options options = cstory_options();
    options.memory_bytes_max = 0;
    cstory_settle(&story);
    cstory_restart(&story, &options);
    struct cstory_call *reads = begin("ConfigQueryRequest", QUERY);
    (void)begin("ConfigRemoveRequest", QUERY);
    cstory_turn(&story);
    (void)cstory_wait(&story, reads);
    assert_string_equal(text_of(reads), MISSING);
}

static void test_query__marks_what_is_in_use(void **state)
{
    (void)state;
    expect("ConfigPublishRequest", PUBLISH("v1"), SUCCESS);
    struct config_value *value = cstory_item(&story, "d1")->value;
    atomic_store(&value->used, false);
    contains("ConfigQueryRequest", QUERY, MD5_V1);
    assert_true(atomic_load(&value->used));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_publish__then_query__answers_from_the_view),
        TEST(test_publish__with_a_tag_and_beta__are_read_by_whom_they_are_for),
        TEST(test_publish__what_is_wrong__is_said_in_the_typed_answer),
        TEST(test_query__what_is_wrong__has_the_keys_that_clients_read),
        TEST(test_remove__is_a_success_whatever_was_there),
        TEST(test_publish__author_and_address__are_in_the_history),
        TEST(test_listen__a_whole_round),
        TEST(test_listen__public__hears_and_is_echoed),
        TEST(test_unlisten__nothing_more_comes),
        TEST(test_listen__unknown_connection__is_gone),
        TEST(test_listen__header_tag__chooses_the_version),
        TEST(test_notified_read__of_a_named_tag__ends_nothing),
        TEST(test_query__cold_content__is_loaded_once_for_all),
        TEST(test_query__cold_and_removed_meanwhile__is_missing),
        TEST(test_query__marks_what_is_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
