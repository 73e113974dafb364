/* Names: what passes the check has one key in the view, and every key one name.
 *
 * Input: namespace, group, service and a list of clusters, a line each. */
#include "fuzz.h"

#include "api/call.h"
#include "naming/name.h"

/* Cut what comes before the first "@@" off *rest. */
static struct span cut_double_at(struct span *rest)
{
    const char *at = memmem(rest->data, rest->len, "@@", 2);
    REQUIRE(at != NULL);
    struct span head = span_of(rest->data, (size_t)(at - rest->data));
    *rest = span_of(at + 2, rest->len - head.len - 2);
    return head;
}

/* The name can be read back from its key, so no two names share one. */
static void check_key(const struct service_name *n)
{
    char bytes[VIEW_KEY_MAX];
    struct span key = service_name_key(n, bytes);
    REQUIRE(key.len <= VIEW_KEY_MAX);
    REQUIRE(span_eq(cut_double_at(&key), n->namespace_id));
    REQUIRE(span_eq(cut_double_at(&key), n->group));
    REQUIRE(span_eq(key, n->name));
    REQUIRE(!memchr(n->name.data, '\0', n->name.len));
}

static void check_name(const struct service_name *n)
{
    struct fail fail = {0};
    int err = name_check(n, &fail);
    if (err) {
        REQUIRE(err == E_PARAM || err == E_INVALID);
        fuzz_check_fail(err, &fail);
        return;
    }
    check_key(n);
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    struct span grouped = service_name_grouped(n, &arena);
    REQUIRE(span_eq(cut_double_at(&grouped), n->group));
    REQUIRE(span_eq(grouped, n->name));
    arena_close(&arena);
}

static void check_clusters(struct span clusters)
{
    struct fail fail = {0};
    int err = name_check_clusters(clusters, &fail);
    if (err) {
        REQUIRE(err == E_PARAM);
        fuzz_check_fail(err, &fail);
        return;
    }
    struct span rest = clusters;
    while (rest.len > 0) {
        struct span cluster = fuzz_cut(&rest, ',');
        REQUIRE(span_empty(cluster) || span_empty(span_trim(clusters)) ||
                name_cluster_in(clusters, cluster));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of((const char *)data, size);
    struct span namespace_id = fuzz_cut(&rest, '\n');
    struct span group = fuzz_cut(&rest, '\n');
    struct span service = fuzz_cut(&rest, '\n');
    struct service_name n = {0};
    service_name_fill(&n, namespace_id, group, service, false);
    check_name(&n);
    service_name_fill(&n, namespace_id, group, service, true);
    check_name(&n);
    check_clusters(rest);
    return 0;
}
