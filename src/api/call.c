/* Filling in a call's reply. */
#include "api/call.h"

#include "base/assert.h"
#include "base/json_out.h"

void api_answer(struct api_call *call, struct body *take_body)
{
    ASSERT(call != NULL);
    ASSERT(take_body != NULL);
    body_close(&call->reply.body);
    call->reply.body = *take_body;
    *take_body = (struct body){0};
}

void api_answer_buf(struct api_call *call, struct buf *take_buf)
{
    struct body body = {0};
    body_add_buf(&body, take_buf);
    api_answer(call, &body);
}

void api_answer_text(struct api_call *call, struct span text)
{
    api_answer_buf(call, buf_create(text));
}

void api_answer_json(struct api_call *call, struct json_out *j)
{
    ASSERT(j->depth == 0);
    api_answer_buf(call, json_take(j));
}
