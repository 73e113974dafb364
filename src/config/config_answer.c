/* Answers of reads over gRPC.
 *
 * Content that needs no escaping is shared: head, content, tail. Any other, and short ones, become
 * one buffer; the scan finds the first line end of a text within its first line. */
#include "config/config_answer.h"

#include "base/assert.h"
#include "base/json_out.h"

/* Below this, one buffer is cheaper than three slices. */
#define SHARE_MIN 4096

#define HEAD "{\"resultCode\":200,\"errorCode\":0,\"content\":\""
#define AROUND_MAX 512 /* head and tail without the encrypted key */

/* Behind the content. A version without a key: gray ones leave it out (grpc-sdk.md 5.3.1). */
static void write_tail(struct json_out *j, const struct config_choice *choice)
{
    const struct config_version *v = choice->version;
    char md5[CONFIG_MD5_TEXT];
    config_md5_text(v->md5, md5);
    if (v->encrypted_key_len > 0 || !choice->gray) {
        json_bytes(j, SPAN(",\"encryptedDataKey\":"));
        j->after_key = true;
        json_str(j, span_of(v->encrypted_key, v->encrypted_key_len));
    }
    json_bytes(j, SPAN(",\"contentType\":\""));
    json_bytes(j, config_type_text(v->type));
    json_bytes(j, SPAN("\",\"md5\":\""));
    json_bytes(j, span_of(md5, sizeof(md5)));
    json_bytes(j, SPAN("\",\"lastModified\":"));
    j->after_key = true;
    json_int(j, v->modified_ms);
    bool is_beta = choice->gray && choice->gray->is_beta;
    json_bytes(j, is_beta ? SPAN(",\"beta\":true,\"success\":true}")
                          : SPAN(",\"beta\":false,\"success\":true}"));
}

static void answer_shared(struct api_call *call, const struct config_choice *choice)
{
    struct json_out j;
    struct body body = {0};
    body_add_buf(&body, buf_create(SPAN(HEAD)));
    body_add_buf(&body, buf_ref(choice->version->content));
    json_init(&j, AROUND_MAX + choice->version->encrypted_key_len);
    json_bytes(&j, SPAN("\""));
    write_tail(&j, choice);
    body_add_buf(&body, json_take(&j));
    api_answer(call, &body);
}

void config_answer_rpc(struct api_call *call, const struct config_choice *choice)
{
    const struct config_version *v = choice->version;
    ASSERT(v->content != NULL);
    struct span content = buf_span(v->content);
    if (content.len >= SHARE_MIN && json_plain(content) == content.len) {
        answer_shared(call, choice);
        return;
    }
    struct json_out j;
    json_init(&j, content.len + content.len / 8 + AROUND_MAX + v->encrypted_key_len);
    json_bytes(&j, span_of(HEAD, sizeof(HEAD) - 2)); /* the writer brings the quote itself */
    j.after_key = true;
    json_str_utf8(&j, content);
    write_tail(&j, choice);
    api_answer_buf(call, json_take(&j));
}

int config_not_found_rpc(struct fail *fail)
{
    return fail_set_codes(fail, E_NOT_FOUND, 300, 0, "config data not exist");
}
