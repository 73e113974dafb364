/* ConnectionSetupRequest: the first message of a stream, from a client that nobody knows yet.
 *
 * Input: the self-reported address up to the first line end, then the JSON body. */
#include "fuzz.h"

#include "api/call.h"
#include "base/arena.h"
#include "conn/conn.h"

static void check_text(struct span text)
{
    fuzz_touch(text);
    REQUIRE(text.len <= CONN_TEXT_MAX);
}

static void check_setup(const struct conn_setup *setup, struct span client_ip)
{
    check_text(setup->client_version);
    check_text(setup->tenant);
    REQUIRE(span_eq(setup->client_ip, client_ip));
    REQUIRE(setup->labels_count <= CONN_LABELS_MAX);
    for (size_t i = 0; i < setup->labels_count; i++) {
        const struct conn_label *label = &setup->labels[i];
        check_text(label->key);
        check_text(label->value);
        /* Keys come once, so the label that is looked up is this one. */
        REQUIRE(strlen(label->key.data) == label->key.len);
        REQUIRE(span_eq(conn_setup_label(setup, label->key.data), label->value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span body = span_of((const char *)data, size);
    struct span client_ip = fuzz_cut(&body, '\n');
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    struct conn_setup setup = {0};
    struct fail fail = {0};
    int err = conn_setup_decode(body, client_ip, &arena, &setup, &fail);
    if (err) {
        REQUIRE(err == E_PARSE || err == E_LIMIT || err == E_TOO_LARGE);
        fuzz_check_fail(err, &fail);
    } else {
        check_setup(&setup, client_ip);
    }
    arena_close(&arena);
    return 0;
}
