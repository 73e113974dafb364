/* Requests of the registry over gRPC, decoded only: fuzz_naming_calls.c plays them.
 *
 * Input: one byte that chooses the request type, then its JSON body. */
#include "fuzz.h"

#include <math.h>

#include "api/row.h"
#include "naming/naming_msg.h"

static const api_decode_rpc_fn decoders[] = {
    msg_decode_instance, msg_decode_persistent, msg_decode_batch,
    msg_decode_query,    msg_decode_subscribe,  msg_decode_list,
};

static void check_service(const struct service_name *n)
{
    fuzz_touch(n->namespace_id);
    fuzz_touch(n->group);
    fuzz_touch(n->name);
    REQUIRE(name_check(n, NULL) == 0);
}

static void check_instance(const struct instance_data *i)
{
    fuzz_touch(i->ip);
    fuzz_touch(i->cluster);
    fuzz_touch(i->instance_id);
    REQUIRE(i->cluster.len > 0);
    REQUIRE(i->instance_id.len > 0 && i->instance_id.len <= NAME_INSTANCE_ID_MAX);
    REQUIRE(i->port >= 0 && i->port <= UINT16_MAX);
    REQUIRE(isfinite(i->weight));
    REQUIRE(i->metadata_count <= INSTANCE_METADATA_MAX);
    for (size_t n = 0; n < i->metadata_count; n++) {
        fuzz_touch(i->metadata[n].key);
        fuzz_touch(i->metadata[n].value);
        for (size_t m = 0; m < n; m++) {
            REQUIRE(!span_eq(i->metadata[n].key, i->metadata[m].key));
        }
    }
    REQUIRE(name_check_instance(i, NULL) == 0);
}

static void check_instances(const struct msg_instances *m, bool persistent)
{
    check_service(&m->service);
    REQUIRE(m->type != NULL);
    REQUIRE(m->count <= INSTANCE_BATCH_MAX);
    REQUIRE(!persistent || m->count == 1);
    for (size_t i = 0; i < m->count; i++) {
        check_instance(&m->list[i]);
        REQUIRE(m->list[i].ephemeral == !persistent);
    }
}

static void check_message(api_decode_rpc_fn decode, const void *msg)
{
    if (decode == msg_decode_query) {
        const struct msg_query *m = msg;
        check_service(&m->service);
        REQUIRE(name_check_clusters(m->query.clusters, NULL) == 0);
    } else if (decode == msg_decode_subscribe) {
        const struct msg_subscribe *m = msg;
        check_service(&m->service);
        REQUIRE(name_check_clusters(m->clusters, NULL) == 0);
    } else if (decode == msg_decode_list) {
        const struct msg_list *m = msg;
        struct service_name name = {m->namespace_id, m->group, SPAN("x")};
        check_service(&name);
        size_t from = 0;
        size_t to = 0;
        msg_page(m, 1000, &from, &to);
        REQUIRE(from <= to && to <= 1000);
    } else {
        check_instances(msg, decode == msg_decode_persistent);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span body = span_of((const char *)data, size);
    api_decode_rpc_fn decode = decoders[fuzz_byte(&body) % ARRAY_LEN(decoders)];
    struct api_call call = {0};
    arena_init(&call.arena, API_ARENA_MAX);
    struct fail fail = {0};
    int err = decode(&call, body, &fail);
    if (err) {
        REQUIRE(err == E_PARSE || err == E_INVALID || err == E_PARAM || err == E_LIMIT ||
                err == E_TOO_LARGE);
        fuzz_check_fail(err, &fail);
    } else {
        check_message(decode, call.msg);
    }
    arena_close(&call.arena);
    return 0;
}
