#include "bench/messages_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/json_out.h"
#include "base/mem.h"

#define CONTENT_KEY "\"content\":\""
#define ID_MAX_BYTES 512
#define LINE_BYTES 64 /* of a content, newline included, as in a properties file */

/* <service>-<ten digits> */
static struct span data_id(char *dst, const struct msg_place *place, uint64_t config)
{
    int len = snprintf(dst, ID_MAX_BYTES, "%s-%0*" PRIu64, place->service, FRAME_DIGITS, config);
    ASSERT(len > 0 && len < ID_MAX_BYTES);
    return span_of(dst, (size_t)len);
}

/* As the SDKs send it: nothing for the default namespace. */
static struct span tenant(const struct msg_place *place)
{
    struct span named = span_str(place->namespace_id);
    if (span_eq(named, SPAN("public"))) {
        return (struct span){0};
    }
    return named;
}

/* Ten digits, then letters with a newline every LINE_BYTES: short contents have none. */
static void fill_content(char *dst, size_t size, uint64_t revision)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    char digits[FRAME_DIGITS + 1];
    ASSERT(size >= MSG_CONTENT_LEAST && revision < UINT64_C(10000000000));
    (void)snprintf(digits, sizeof(digits), "%0*" PRIu64, FRAME_DIGITS, revision);
    memcpy(dst, digits, FRAME_DIGITS);
    for (size_t i = FRAME_DIGITS; i < size; i++) {
        dst[i] = letters[i % (sizeof(letters) - 1)];
        if ((i + 1) % LINE_BYTES == 0) {
            dst[i] = '\n';
        }
    }
}

static void request_begin(struct json_out *j, const struct msg_place *place, uint64_t config)
{
    char id[ID_MAX_BYTES];
    json_init(j, 0);
    json_object(j);
    json_key(j, "headers");
    json_object(j);
    json_object_end(j);
    json_kstr(j, "dataId", data_id(id, place, config));
    json_kstr(j, "group", span_str(place->group));
    json_kstr(j, "tenant", tenant(place));
}

static void request_end(struct frame *f, const char *type, struct json_out *j)
{
    json_kstr(j, "module", SPAN("config"));
    json_object_end(j);
    frame_build(f, type, json_text(j), NULL);
    json_close(j);
}

void msg_config_publish(struct frame *f, const struct msg_place *place, uint64_t config,
                        size_t content_bytes)
{
    struct json_out j;
    char *content = mem_alloc(content_bytes);
    fill_content(content, content_bytes, 0);
    request_begin(&j, place, config);
    json_kstr(&j, "content", span_of(content, content_bytes));
    json_key(&j, "additionMap");
    json_object(&j);
    json_kstr(&j, "encryptedDataKey", (struct span){0});
    json_kstr(&j, "type", SPAN("text"));
    json_object_end(&j);
    request_end(f, "ConfigPublishRequest", &j);
    mem_free(content);
}

void msg_config_query(struct frame *f, const struct msg_place *place, uint64_t config)
{
    struct json_out j;
    request_begin(&j, place, config);
    json_kbool(&j, "notify", false);
    request_end(f, "ConfigQueryRequest", &j);
}

void msg_config_listen(struct frame *f, const struct msg_place *place, uint64_t config,
                       struct span md5)
{
    struct json_out j;
    char id[ID_MAX_BYTES];
    json_init(&j, 0);
    json_object(&j);
    json_key(&j, "headers");
    json_object(&j);
    json_object_end(&j);
    json_kbool(&j, "listen", true);
    json_key(&j, "configListenContexts");
    json_array(&j);
    json_object(&j);
    json_kstr(&j, "group", span_str(place->group));
    json_kstr(&j, "md5", md5);
    json_kstr(&j, "dataId", data_id(id, place, config));
    json_kstr(&j, "tenant", tenant(place));
    json_object_end(&j);
    json_array_end(&j);
    request_end(f, "ConfigBatchListenRequest", &j);
}

size_t msg_config_offset(const struct frame *f, const struct msg_place *place)
{
    char marker[ID_MAX_BYTES];
    int len = snprintf(marker, sizeof(marker), "\"dataId\":\"%s-", place->service);
    ASSERT(len > 0 && len < ID_MAX_BYTES);
    return frame_find(f, span_of(marker, (size_t)len));
}

size_t msg_content_offset(const struct frame *f)
{
    return frame_find(f, SPAN(CONTENT_KEY));
}

bool msg_content_revision(struct span body, uint64_t *ret)
{
    const struct span marker = SPAN(CONTENT_KEY);
    const char *at = memmem(body.data, body.len, marker.data, marker.len);
    long long value = 0;
    if (!at || body.len - (size_t)(at - body.data) < marker.len + FRAME_DIGITS ||
        !span_int(span_of(at + marker.len, FRAME_DIGITS), &value) || value < 0) {
        return false;
    }
    *ret = (uint64_t)value;
    return true;
}

struct span msg_config_md5(struct span body)
{
    struct span md5 = msg_quoted_after(body, SPAN("\"md5\":\""));
    return md5.len == MSG_MD5_LEN ? md5 : (struct span){0};
}

bool msg_config_changed(struct span body)
{
    const struct span marker = SPAN("\"changedConfigs\":[{");
    return memmem(body.data, body.len, marker.data, marker.len) != NULL;
}

/* The parameters that name a config. */
static size_t http_names(char dst[MSG_HTTP_MAX], const struct msg_place *place, uint64_t config)
{
    char id[ID_MAX_BYTES];
    int len = snprintf(dst, MSG_HTTP_MAX, "dataId=%.*s&group=%s&tenant=%.*s",
                       SPAN_ARG(data_id(id, place, config)), place->group, SPAN_ARG(tenant(place)));
    ASSERT(len > 0 && len < MSG_HTTP_MAX);
    return (size_t)len;
}

size_t msg_http_config_get(char *dst, const char *host, const struct msg_place *place,
                           uint64_t config)
{
    char names[MSG_HTTP_MAX];
    size_t names_len = http_names(names, place, config);
    int len = snprintf(dst, MSG_HTTP_MAX,
                       "GET /nacos/v1/cs/configs?%.*s HTTP/1.1\r\nHost: %s\r\n"
                       "User-Agent: Nacos-Java-Client:v1.4.7\r\n\r\n",
                       (int)names_len, names, host);
    ASSERT(len > 0 && len < MSG_HTTP_MAX);
    return (size_t)len;
}

/* The form's value: letters and digits stay, newlines do not. */
static void append_form_content(struct bytes *dst, size_t content_bytes, uint64_t revision)
{
    char *content = mem_alloc(content_bytes);
    fill_content(content, content_bytes, revision);
    const char *end = content + content_bytes;
    for (const char *at = content; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        bytes_append(dst, at, (size_t)(stop - at));
        if (newline) {
            bytes_append(dst, "%0A", 3);
        }
        at = newline ? newline + 1 : end;
    }
    mem_free(content);
}

void msg_http_config_publish(struct bytes *dst, const char *host, const struct msg_place *place,
                             uint64_t config, size_t content_bytes)
{
    struct bytes form = {0};
    char head[MSG_HTTP_MAX];
    size_t names_len = http_names(head, place, config);
    bytes_append(&form, head, names_len);
    bytes_append(&form, "&content=", 9);
    append_form_content(&form, content_bytes, config);
    int len = snprintf(head, sizeof(head),
                       "POST /nacos/v1/cs/configs HTTP/1.1\r\nHost: %s\r\n"
                       "User-Agent: Nacos-Java-Client:v1.4.7\r\n"
                       "Content-Type: application/x-www-form-urlencoded\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       host, form.len);
    ASSERT(len > 0 && (size_t)len < sizeof(head));
    bytes_clear(dst);
    bytes_append(dst, head, (size_t)len);
    bytes_append(dst, form.data, form.len);
    bytes_close(&form);
}
