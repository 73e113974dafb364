#include "rpc/answer.h"

#include <stdbool.h>

#include "base/json_out.h"
#include "wire/response.h"

static bool is_before_handler(int err)
{
    return err == E_STARTING || err == E_UNREGISTERED || err == E_NO_HANDLER || err == E_PARSE;
}

static bool is_internal(int err)
{
    return err == E_INTERNAL || err == E_TIMEOUT || err == E_LIMIT;
}

static bool is_typed(const struct api_row *row, int err)
{
    if (!row || is_before_handler(err)) {
        return false;
    }
    return row->shape != API_SHAPE_READ || !is_internal(err);
}

static struct body body_of(struct json_out *j)
{
    struct body body = {0};
    body_add_buf(&body, json_take(j));
    return body;
}

const char *answer_failure(const struct api_row *row, const struct fail *why, struct body *ret_body)
{
    bool typed = is_typed(row, why->code);
    struct json_out j;
    json_init(&j, 256);
    response_fail(&j, why, typed ? span_str(row->fail_extra) : (struct span){0});
    *ret_body = body_of(&j);
    return typed ? row->reply_type : "ErrorResponse";
}

struct body answer_server_check(struct span connection_id)
{
    struct json_out j;
    json_init(&j, 256);
    response_begin(&j, NULL);
    json_kstr(&j, "connectionId", connection_id);
    json_kbool(&j, "supportAbilityNegotiation", true);
    response_end(&j);
    return body_of(&j);
}

struct body answer_success(void)
{
    struct json_out j;
    json_init(&j, 64);
    response_begin(&j, NULL);
    response_end(&j);
    return body_of(&j);
}
