#include "config/config_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "api/v2_codes.h"

/* -------------------------------------------------------------------- numbers */

/* v2: {"code":30000,"message":M,"data":null} with status 500. */
static int read_refusal(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    struct json_out j;
    (void)self;
    (void)now;
    (void)fail;
    json_init(&j, 256);
    rest_begin(&j, V2_SERVER_ERROR, call->msg);
    json_null(&j);
    rest_end(&j);
    call->reply.http_status = 500;
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}

bool config_number_refused(const struct api_call *call)
{
    return call->row && call->row->read == read_refusal;
}

static void refuse_v2(struct api_call *call, const char *text)
{
    struct api_row *row = arena_alloc(&call->arena, sizeof(*row));
    if (call->row) {
        *row = *call->row;
    }
    row->read = read_refusal;
    row->admit = NULL;
    call->msg = arena_str(&call->arena, span_str(text));
    call->row = row;
}

/* Java repeats what came; so much of it is enough. */
#define SHOWN_MAX 100

static int refuse(struct api_call *call, enum config_form_style style,
                  const struct config_number *n, struct span value, struct fail *fail)
{
    int shown = value.len > SHOWN_MAX ? SHOWN_MAX : (int)value.len;
    struct fail why = {0};
    (void)fail_set(&why, E_INVALID,
                   "Failed to convert value of type 'java.lang.String' to required type '%s%s'; "
                   "nested exception is java.lang.NumberFormatException: For input string: "
                   "\"%.*s\"",
                   n->type[0] == 'i' ? "" : "java.lang.", n->type, shown, value.data);
    if (config_form_is_v2(style)) {
        refuse_v2(call, fail_text(&why));
        return 0;
    }
    return fail_set(fail, E_INVALID, "%s;caused: For input string: \"%.*s\"", fail_text(&why),
                    shown, value.data);
}

int config_number(struct api_call *call, const struct api_params *p, enum config_form_style style,
                  const struct config_number *n, int64_t *ret, struct fail *fail)
{
    struct span value = span_trim(params_get(p, n->name));
    if (span_empty(value) && !n->is_required) {
        return 0;
    }
    if (span_empty(value)) {
        struct span ignored = {0};
        struct api_params none = {0};
        return config_form_require(&none, style, n->name, n->type, &ignored, fail);
    }
    long long number = 0;
    if (!span_int(value, &number) || number < n->min || number > n->max) {
        return refuse(call, style, n, value, fail);
    }
    *ret = number;
    return 0;
}

/* -------------------------------------------------------------------- pages */

int config_page_names(const struct api_params *p, enum config_form_style style,
                      struct config_key *ret, struct fail *fail)
{
    struct config_key key = {
        .tenant = config_tenant(config_form_tenant(p, style)),
        .group = params_get(p, "group"),
        .data_id = params_get(p, "dataId"),
    };
    /* What is blank or unknown finds nothing; only the filter's refusals count. */
    int err = config_key_check(&key, config_form_is_v2(style), fail);
    if (err == E_PARAM) {
        return err;
    }
    err = config_form_require(p, style, "dataId", "String", &key.data_id, fail);
    err = err ? err : config_form_require(p, style, "group", "String", &key.group, fail);
    if (!err) {
        *ret = key;
    }
    return err;
}

int config_page_decode(struct api_call *call, const struct api_params *p,
                       enum config_form_style style, bool is_required, struct config_page *ret,
                       struct fail *fail)
{
    const char *type = is_required ? "int" : "Integer";
    const struct config_number no = {"pageNo", type, is_required, CONFIG_NUMBER_INT};
    const struct config_number size = {"pageSize", type, is_required, CONFIG_NUMBER_INT};
    *ret = (struct config_page){.no = 1, .size = 100};
    int err = config_number(call, p, style, &no, &ret->no, fail);
    if (err || config_number_refused(call)) {
        return err;
    }
    return config_number(call, p, style, &size, &ret->size, fail);
}

int config_page_check(const struct config_page *page, struct fail *fail)
{
    if (page->no > 0 && page->size > 0) {
        return 0;
    }
    return fail_set_codes(fail, E_INVALID, 0, V2_PARAMETER_VALIDATE_ERROR,
                          "pageNo and pageSize must be greater than zero");
}

uint64_t config_page_offset(const struct config_page *page)
{
    return (uint64_t)(page->no - 1) * (uint64_t)page->size;
}

void config_page_begin(struct json_out *j, const struct config_page *page, uint64_t total)
{
    uint64_t size = (uint64_t)page->size;
    json_object(j);
    json_kint(j, "totalCount", (int64_t)total);
    json_kint(j, "pageNumber", page->no);
    json_kint(j, "pagesAvailable", (int64_t)(total / size + (total % size ? 1 : 0)));
    json_key(j, "pageItems");
    json_array(j);
}

void config_page_end(struct json_out *j)
{
    json_array_end(j);
    json_object_end(j);
}

int config_page_bytes(const struct json_out *j, struct fail *fail)
{
    size_t len = json_text(j).len;
    if (len <= CONFIG_PAGE_BYTES_MAX) {
        return 0;
    }
    return fail_set_codes(fail, E_TOO_LARGE, 400, V2_PARAMETER_VALIDATE_ERROR,
                          "a page has at most %u bytes, this one has %zu already: ask for a "
                          "smaller pageSize",
                          CONFIG_PAGE_BYTES_MAX, len);
}

void config_json_text(struct json_out *j, const char *key, struct span s)
{
    json_key(j, key);
    if (s.data) {
        json_str(j, s);
        return;
    }
    json_null(j);
}

void config_json_id(struct json_out *j, const char *key, uint64_t id)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRIu64, id);
    json_kstr(j, key, span_of(text, (size_t)len));
}

void config_json_time(struct json_out *j, const char *key, int64_t ms)
{
    char day[40];
    char text[64];
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    int len = snprintf(text, sizeof(text), "%s.%03d+00:00", day, (int)(ms % 1000));
    json_kstr(j, key, span_of(text, (size_t)len));
}
