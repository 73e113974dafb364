#include "bench/messages.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/json_out.h"

#define REVISION_KEY "\"rev\":\""
#define NAME_MAX_BYTES 512
#define APP "nacre-bench"

/* <service>-<ten digits> */
static struct span service_name(char *dst, const struct msg_place *place, uint64_t service)
{
    int len = snprintf(dst, NAME_MAX_BYTES, "%s-%0*" PRIu64, place->service, FRAME_DIGITS, service);
    ASSERT(len > 0 && len < NAME_MAX_BYTES);
    return span_of(dst, (size_t)len);
}

static struct span instance_ip(char dst[16], uint64_t instance)
{
    int len = snprintf(dst, 16, "10.%u.%u.%u", (unsigned)(instance >> 16 & 0xFF),
                       (unsigned)(instance >> 8 & 0xFF), (unsigned)(instance & 0xFF));
    ASSERT(len > 0 && len < 16);
    return span_of(dst, (size_t)len);
}

static void seal(struct frame *f, const char *type, struct json_out *j, const char *app)
{
    frame_build(f, type, json_text(j), app);
    json_close(j);
}

/* What every request of a client begins with. */
static void request_begin(struct json_out *j)
{
    json_init(j, 0);
    json_object(j);
    json_key(j, "headers");
    json_object(j);
    json_object_end(j);
}

static void naming_begin(struct json_out *j, const struct msg_place *place, uint64_t service)
{
    char name[NAME_MAX_BYTES];
    request_begin(j);
    json_kstr(j, "namespace", span_str(place->namespace_id));
    json_kstr(j, "serviceName", service_name(name, place, service));
    json_kstr(j, "groupName", span_str(place->group));
}

static void internal_request(struct frame *f, const char *type)
{
    struct json_out j;
    request_begin(&j);
    json_kstr(&j, "module", SPAN("internal"));
    json_object_end(&j);
    seal(f, type, &j, NULL);
}

void msg_server_check(struct frame *f)
{
    internal_request(f, "ServerCheckRequest");
}

void msg_health_check(struct frame *f)
{
    internal_request(f, "HealthCheckRequest");
}

void msg_setup(struct frame *f, const char *module)
{
    struct json_out j;
    request_begin(&j);
    json_kstr(&j, "clientVersion", SPAN("Nacos-Java-Client:v2.5.1"));
    json_key(&j, "labels");
    json_object(&j);
    json_kstr(&j, "source", SPAN("sdk"));
    json_kstr(&j, "module", span_str(module));
    json_kstr(&j, "AppName", SPAN(APP));
    json_object_end(&j);
    json_key(&j, "abilityTable");
    json_object(&j);
    json_object_end(&j);
    json_kstr(&j, "module", SPAN("internal"));
    json_object_end(&j);
    seal(f, "ConnectionSetupRequest", &j, NULL);
}

void msg_ack(struct frame *f, const char *type, struct span request_id)
{
    struct json_out j;
    json_init(&j, 0);
    json_object(&j);
    json_kint(&j, "resultCode", 200);
    json_kint(&j, "errorCode", 0);
    json_kstr(&j, "requestId", request_id);
    json_kbool(&j, "success", true);
    json_object_end(&j);
    seal(f, type, &j, NULL);
}

static void put_instance(struct json_out *j, uint64_t instance)
{
    char ip[16];
    json_object(j);
    json_kstr(j, "ip", instance_ip(ip, instance));
    json_kint(j, "port", 8080);
    json_kdouble(j, "weight", 1.0);
    json_kbool(j, "healthy", true);
    json_kbool(j, "enabled", true);
    json_kbool(j, "ephemeral", true);
    json_kstr(j, "clusterName", SPAN("DEFAULT"));
    json_key(j, "metadata");
    json_object(j);
    json_kstr(j, "rev", SPAN("0000000000"));
    json_object_end(j);
    json_kint(j, "instanceHeartBeatInterval", 5000);
    json_kint(j, "instanceHeartBeatTimeOut", 15000);
    json_kint(j, "ipDeleteTimeout", 30000);
    json_object_end(j);
}

void msg_instance(struct frame *f, const struct msg_place *place, bool reg, uint64_t service,
                  uint64_t instance)
{
    struct json_out j;
    naming_begin(&j, place, service);
    json_kstr(&j, "type", reg ? SPAN("registerInstance") : SPAN("deregisterInstance"));
    json_key(&j, "instance");
    put_instance(&j, instance);
    json_kstr(&j, "module", SPAN("naming"));
    json_object_end(&j);
    seal(f, "InstanceRequest", &j, APP);
}

void msg_batch(struct frame *f, const struct msg_place *place, uint64_t service, uint64_t count)
{
    struct json_out j;
    naming_begin(&j, place, service);
    json_kstr(&j, "type", SPAN("batchRegisterInstance"));
    json_key(&j, "instances");
    json_array(&j);
    for (uint64_t i = 0; i < count; i++) {
        put_instance(&j, i);
    }
    json_array_end(&j);
    json_kstr(&j, "module", SPAN("naming"));
    json_object_end(&j);
    seal(f, "BatchInstanceRequest", &j, APP);
}

void msg_query(struct frame *f, const struct msg_place *place, uint64_t service)
{
    struct json_out j;
    naming_begin(&j, place, service);
    json_kstr(&j, "cluster", (struct span){0});
    json_kbool(&j, "healthyOnly", false);
    json_kint(&j, "udpPort", 0);
    json_kstr(&j, "module", SPAN("naming"));
    json_object_end(&j);
    seal(f, "ServiceQueryRequest", &j, APP);
}

void msg_subscribe(struct frame *f, const struct msg_place *place, uint64_t service)
{
    struct json_out j;
    naming_begin(&j, place, service);
    json_kbool(&j, "subscribe", true);
    json_kstr(&j, "clusters", (struct span){0});
    json_kstr(&j, "module", SPAN("naming"));
    json_object_end(&j);
    seal(f, "SubscribeServiceRequest", &j, APP);
}

size_t msg_service_offset(const struct frame *f, const struct msg_place *place)
{
    char marker[NAME_MAX_BYTES];
    int len = snprintf(marker, sizeof(marker), "\"serviceName\":\"%s-", place->service);
    ASSERT(len > 0 && len < NAME_MAX_BYTES);
    return frame_find(f, span_of(marker, (size_t)len));
}

size_t msg_revision_offset(const struct frame *f)
{
    return frame_find(f, SPAN(REVISION_KEY));
}

struct span msg_quoted_after(struct span body, struct span marker)
{
    const char *at = memmem(body.data, body.len, marker.data, marker.len);
    if (!at) {
        return (struct span){0};
    }
    const char *begin = at + marker.len;
    const char *end = memchr(begin, '"', body.len - (size_t)(begin - body.data));
    return end ? span_of(begin, (size_t)(end - begin)) : (struct span){0};
}

bool msg_revision(struct span body, uint64_t *ret)
{
    long long value = 0;
    if (!span_int(msg_quoted_after(body, SPAN(REVISION_KEY)), &value) || value < 0) {
        return false;
    }
    *ret = (uint64_t)value;
    return true;
}

struct span msg_request_id(struct span body)
{
    return msg_quoted_after(body, SPAN("\"requestId\":\""));
}

/* Both HTTP requests: what differs is the line's beginning and the spelling of the service. */
static size_t http_request(char *dst, const char *host, const char *what,
                           const struct msg_place *place, const char *names)
{
    int len = snprintf(dst, MSG_HTTP_MAX,
                       "%s?namespaceId=%s&%s HTTP/1.1\r\nHost: %s\r\n"
                       "User-Agent: Nacos-Java-Client:v1.4.7\r\nContent-Length: 0\r\n\r\n",
                       what, place->namespace_id, names, host);
    ASSERT(len > 0 && len < MSG_HTTP_MAX);
    return (size_t)len;
}

size_t msg_http_register(char *dst, const char *host, const struct msg_place *place,
                         uint64_t service, uint64_t instance)
{
    char name[NAME_MAX_BYTES];
    char ip[16];
    char query[NAME_MAX_BYTES];
    int len = snprintf(
        query, sizeof(query),
        "serviceName=%.*s&groupName=%s&ip=%.*s&port=8080&clusterName=DEFAULT&ephemeral=true",
        SPAN_ARG(service_name(name, place, service)), place->group,
        SPAN_ARG(instance_ip(ip, instance)));
    ASSERT(len > 0 && len < NAME_MAX_BYTES);
    return http_request(dst, host, "POST /nacos/v1/ns/instance", place, query);
}

size_t msg_http_beat(char *dst, const char *host, const struct msg_place *place, uint64_t service,
                     uint64_t instance)
{
    char name[NAME_MAX_BYTES];
    char ip[16];
    char query[NAME_MAX_BYTES];
    int len =
        snprintf(query, sizeof(query),
                 "serviceName=%s%%40%%40%.*s&ip=%.*s&port=8080&clusterName=DEFAULT", place->group,
                 SPAN_ARG(service_name(name, place, service)), SPAN_ARG(instance_ip(ip, instance)));
    ASSERT(len > 0 && len < NAME_MAX_BYTES);
    return http_request(dst, host, "PUT /nacos/v1/ns/instance/beat", place, query);
}
