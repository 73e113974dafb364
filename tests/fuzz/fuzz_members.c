/* Lists of members: cluster.conf, the property, the environment, and those in hellos. */
#include "fuzz.h"

#include "base/mem.h"
#include "cluster/members.h"

#define PORT 8848

static void check_list(const struct member_list *list)
{
    REQUIRE(list->count <= MEMBERS_MAX);
    REQUIRE(memchr(list->notes, '\0', sizeof(list->notes)));
    for (size_t i = 0; i < list->count; i++) {
        const struct member *m = &list->list[i];
        REQUIRE(m->port >= 1 && m->port <= MEMBER_PORT_MAX);
        REQUIRE(m->line >= 1);
        REQUIRE(m->host[0] != '\0');
        REQUIRE(memchr(m->host, '\0', sizeof(m->host)));
        REQUIRE(memchr(m->written, '\0', sizeof(m->written)));
        REQUIRE(members_find(list, m->host, m->port) == i);
        for (const char *c = m->host; *c; c++) {
            REQUIRE(*c > ' ' && *c < 127);
        }
    }
}

/* Written in its canonical form and read again it is the same list. */
static void check_round_trip(const struct member_list *list)
{
    char text[MEMBERS_MAX * (MEMBER_ADDRESS_MAX + 1)];
    size_t len = 0;
    for (size_t i = 0; i < list->count; i++) {
        member_address(list->list[i].host, list->list[i].port, text + len);
        len += strlen(text + len);
        text[len++] = i % 2 ? ',' : '\n';
    }
    struct member_list *again = mem_zalloc(1, sizeof(*again));
    struct fail fail = {0};
    REQUIRE(members_parse("again", span_of(text, len), PORT, again, &fail) == 0);
    REQUIRE(members_eq(list, again));
    uint8_t one[MEMBERS_HASH_BYTES];
    uint8_t two[MEMBERS_HASH_BYTES];
    members_hash(list, one);
    members_hash(again, two);
    REQUIRE(memcmp(one, two, sizeof(one)) == 0);
    mem_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct member_list *list = mem_zalloc(1, sizeof(*list));
    struct fail fail = {0};
    struct span text = span_of((const char *)data, size);
    int err = members_parse("cluster.conf", text, PORT, list, &fail);
    if (err) {
        REQUIRE(err == E_PARSE || err == E_LIMIT);
        fuzz_check_fail(err, &fail);
        REQUIRE(list->count == 0);
    } else {
        check_list(list);
        check_round_trip(list);
        struct member_texts texts = {.file = text};
        bool has_entry = members_choose(&texts) == MEMBER_SOURCE_FILE;
        REQUIRE(has_entry == (list->count > 0));
    }
    mem_free(list);
    return 0;
}
