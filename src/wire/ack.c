#include "wire/ack.h"

#include <cjson/cJSON.h>

#include "wire/json_in.h"

/* What a double carries exactly; our ids are a counter and far below. */
#define ID_NUMBER_MAX 9007199254740992.0

static uint64_t id_of(const struct cJSON *item)
{
    if (cJSON_IsString(item)) {
        long long n = 0;
        return span_int(span_str(item->valuestring), &n) && n > 0 ? (uint64_t)n : 0;
    }
    if (cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= ID_NUMBER_MAX) {
        uint64_t n = (uint64_t)item->valuedouble;
        return (double)n == item->valuedouble ? n : 0;
    }
    return 0;
}

int ack_decode(struct span body, struct ack *ret, struct fail *fail)
{
    struct cJSON *doc = NULL;
    int err = json_in_object(body, &doc, fail);
    if (err) {
        return err;
    }
    int64_t code = 0;
    /* A resultCode that is no number is no success. */
    if (json_in_int(doc, "resultCode", INT32_MIN, INT32_MAX, &code, NULL)) {
        code = 0;
    }
    ret->request_id = id_of(json_in_get(doc, "requestId"));
    ret->ok = code == 200;
    json_in_free(doc);
    return 0;
}
