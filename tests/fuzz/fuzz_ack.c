/* Acks: what a client sends on its stream after a push. */
#include "fuzz.h"

#include <string.h>

#include "base/json_out.h"
#include "wire/ack.h"

/* The number that was read, written as a client writes it, is read again. */
static void check_round_trip(const struct ack *ack)
{
    char number[32];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)ack->request_id);
    struct json_out j;
    json_init(&j, 0);
    json_object(&j);
    json_kint(&j, "resultCode", ack->ok ? 200 : 500);
    json_kstr(&j, "requestId", span_str(number));
    json_object_end(&j);
    struct ack again = {0};
    struct fail fail = {0};
    REQUIRE(ack_decode(json_text(&j), &again, &fail) == 0);
    REQUIRE(again.request_id == ack->request_id);
    REQUIRE(again.ok == ack->ok);
    json_close(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ack ack = {0};
    struct fail fail = {0};
    int err = ack_decode(span_of((const char *)data, size), &ack, &fail);
    if (err) {
        REQUIRE(err == E_PARSE || err == E_TOO_LARGE);
        fuzz_check_fail(err, &fail);
        return 0;
    }
    REQUIRE(ack.request_id <= INT64_MAX);
    check_round_trip(&ack);
    return 0;
}
