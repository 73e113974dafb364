#include "node/members_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct member_view member(const char *host, bool is_up)
{
    struct member_view m = {.port = 8848,
                            .is_up = is_up,
                            .is_server = true,
                            .is_voter = true,
                            .lag = UINT64_MAX,
                            .silent_ms = UINT64_MAX,
                            .release = "0.1.0"};
    snprintf(m.host, sizeof(m.host), "%s", host);
    snprintf(m.words, sizeof(m.words), "%s", is_up ? "up" : "down for 3 s");
    m.id.bytes[0] = (uint8_t)host[1];
    return m;
}

static void expect(struct buf *take_text, const char *const *parts, size_t count)
{
    char *text = strndup(take_text->data, take_text->len);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        if (!strstr(text, parts[i])) {
            fail_msg("%s is not in:\n%s", parts[i], text);
        }
    }
    free(text);
    buf_unref(take_text);
}

static void test_text__a_table_and_what_may_fail(void **state)
{
    (void)state;
    struct members_view v = {.count = 3, .log = {.term = 4, .last_index = 17, .is_ready = true}};
    v.list[0] = member("n1", true);
    v.list[1] = member("n2", true);
    v.list[2] = member("n3.a-longer-name", false);
    v.list[0].is_leader = v.list[0].is_self = true;
    v.list[0].lag = 0;
    v.list[0].silent_ms = 0;
    v.list[1].lag = 5;
    v.list[1].silent_ms = 12;
    v.list[2].silent_ms = 3400;
    static const char *const parts[] = {
        "leader n1:8848, term 4, entry 17; as n1:8848 sees it\n\nADDRESS                ROLE",
        "n1:8848                leader           0             -  0.1.0      up\n",
        "n2:8848                follower         5         12 ms  0.1.0      up\n",
        "n3.a-longer-name:8848  follower         -           3 s  0.1.0      down for 3 s\n",
        "\n2 of 3 members that vote are up; 0 more may fail.\n",
    };
    expect(members_view_text(&v), parts, sizeof(parts) / sizeof(parts[0]));
    v.log.role = CONSENSUS_LEADER;
    v.list[1].silent_ms = 2000;
    static const char *const silent[] = {
        "n2:8848                follower         5           2 s  0.1.0      up, but silent\n",
        "1 of 3 members that vote are up, 2 are needed: nothing can be written."};
    expect(members_view_text(&v), silent, 2);
    v.list[1].is_up = false;
    v.list[1].diverged_index = 16;
    static const char *const lost[] = {
        "1 of 3 members that vote are up, 2 are needed: nothing can be written.",
        "up; its state is not the others' since entry 16\n"};
    expect(members_view_text(&v), lost, 2);
}

static void test_text__before_there_is_a_cluster__says_so(void **state)
{
    (void)state;
    struct members_view v = {.count = 1};
    v.list[0] = member("n1", true);
    v.list[0].is_server = v.list[0].is_voter = false;
    static const char *const parts[] = {"no leader, term 0", "none", "There is no cluster yet."};
    expect(members_view_text(&v), parts, 3);
}

static void test_text__of_as_many_as_can_be_with_names_as_long_as_can_be__fits(void **state)
{
    (void)state;
    static struct members_view v;
    v.count = MEMBERS_MAX + 1;
    for (size_t i = 0; i < v.count; i++) {
        v.list[i] = member("n", false);
        memset(v.list[i].host, 'h', MEMBER_HOST_MAX);
        memset(v.list[i].words, 'w', MEMBERSHIP_WORDS_MAX - 1);
    }
    static const char *const parts[] = {"0 of 33 members that vote are up, 17 are needed"};
    expect(members_view_text(&v), parts, 1);
}

static void test_json__has_what_is_known(void **state)
{
    (void)state;
    struct members_view v = {.count = 2, .log = {.term = 4, .last_index = 17, .is_ready = true}};
    v.list[0] = member("n1", true);
    v.list[1] = member("::1", false);
    v.list[0].is_self = true;
    v.list[1].is_leader = true;
    v.list[1].silent_ms = 7;
    static const char *const parts[] = {
        "{\"alone\":false,\"leader\":\"[::1]:8848\",\"seenBy\":\"n1:8848\",\"term\":4,",
        "\"role\":\"leader\",\"state\":\"DOWN\",\"votes\":true,\"id\":\"3a",
        "\"lastContactMs\":7,\"version\":\"0.1.0\",\"words\":\"down for 3 s\"}]}",
    };
    expect(members_view_json(&v), parts, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__a_table_and_what_may_fail),
        cmocka_unit_test(test_text__before_there_is_a_cluster__says_so),
        cmocka_unit_test(test_text__of_as_many_as_can_be_with_names_as_long_as_can_be__fits),
        cmocka_unit_test(test_json__has_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
