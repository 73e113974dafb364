#include "wire/response.h"

void response_begin(struct json_out *j, const char *message)
{
    json_object(j);
    json_raw(j, SPAN("\"resultCode\":200,\"errorCode\":0"));
    if (message) {
        json_kstr(j, "message", span_str(message));
    }
}

void response_end(struct json_out *j)
{
    json_kbool(j, "success", true);
    json_object_end(j);
}

void response_fail(struct json_out *j, const struct fail *fail, struct span extra)
{
    json_object(j);
    json_kint(j, "resultCode", 500);
    json_kint(j, "errorCode", fail_nacos(fail));
    json_kstr(j, "message", span_str(fail_text(fail)));
    if (extra.len > 0) {
        json_raw(j, extra);
    }
    json_kbool(j, "success", false);
    json_object_end(j);
}

void push_begin(struct json_out *j, uint64_t request_id)
{
    json_object(j);
    json_raw(j, SPAN("\"headers\":{}"));
    if (request_id == 0) {
        return;
    }
    char digits[20];
    size_t at = sizeof digits;
    for (; request_id > 0; request_id /= 10) {
        digits[--at] = (char)('0' + request_id % 10);
    }
    json_kstr(j, "requestId", span_of(digits + at, sizeof digits - at));
}

void push_end(struct json_out *j, const char *module)
{
    json_kstr(j, "module", span_str(module));
    json_object_end(j);
}
