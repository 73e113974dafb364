#include "naming/name.h"

#include <stdint.h>

#include "api/v2_codes.h"
#include "base/assert.h"
#include "base/utf8.h"

#define NAME_PORT_MAX 65535

/* What a character may be, beyond letters and digits. */
enum { ALSO_DASH = 1, ALSO_UNDERSCORE = 2, ALSO_COLON_DOT = 4 };

bool service_name_eq(const struct service_name *a, const struct service_name *b)
{
    return span_eq(a->name, b->name) && span_eq(a->group, b->group) &&
           span_eq(a->namespace_id, b->namespace_id);
}

static char *put(char *at, struct span s)
{
    if (s.len > 0) {
        memcpy(at, s.data, s.len);
    }
    return at + s.len;
}

/* "namespace@@group@@name": neither a namespace nor a group can hold an '@', so no two services
 * share a key. */
struct span service_name_key(const struct service_name *n, char dst[VIEW_KEY_MAX])
{
    ASSERT(n->namespace_id.len + n->group.len + n->name.len + 4 <= VIEW_KEY_MAX);
    char *at = put(dst, n->namespace_id);
    at = put(at, SPAN("@@"));
    at = put(at, n->group);
    at = put(at, SPAN("@@"));
    at = put(at, n->name);
    return span_of(dst, (size_t)(at - dst));
}

struct span service_name_grouped(const struct service_name *n, struct arena *arena)
{
    size_t len = n->group.len + 2 + n->name.len;
    char *text = arena_alloc(arena, len + 1);
    char *at = put(text, n->group);
    at = put(at, SPAN("@@"));
    (void)put(at, n->name);
    return span_of(text, len);
}

/* White space as java.lang.Character.isWhitespace sees it, within ASCII. */
static bool is_blank(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (!(c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1C && c <= 0x1F))) {
            return false;
        }
    }
    return true;
}

void service_name_fill(struct service_name *n, struct span namespace_id, struct span group,
                       struct span service, bool split)
{
    n->namespace_id = is_blank(namespace_id) ? SPAN("public") : namespace_id;
    n->group = group;
    n->name = service;
    if (!split) {
        return;
    }
    const char *at = service.len ? memmem(service.data, service.len, "@@", 2) : NULL;
    if (at) {
        size_t group_len = (size_t)(at - service.data);
        n->group = span_of(service.data, group_len);
        n->name = span_of(at + 2, service.len - group_len - 2);
    } else if (is_blank(group)) {
        n->group = SPAN("DEFAULT_GROUP");
    }
}

static int too_long(struct fail *fail, const char *what, size_t max)
{
    return fail_set(fail, E_PARAM, "Param '%s' is illegal, the param length should not exceed %zu.",
                    what, max);
}

static int bad_characters(struct fail *fail, const char *what)
{
    return fail_set(fail, E_PARAM,
                    "Param '%s' is illegal, illegal characters should not appear in the param.",
                    what);
}

static bool is_word(struct span s, unsigned also)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool is_ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c == '-' && also & ALSO_DASH) || (c == '_' && also & ALSO_UNDERSCORE) ||
                     ((c == ':' || c == '.') && also & ALSO_COLON_DOT);
        if (!is_ok) {
            return false;
        }
    }
    return true;
}

/* One character of a text; code is -1 where the text is no UTF-8. */
struct character {
    int32_t code;
    size_t len;
};

static struct character character_at(struct span s, size_t at)
{
    bool is_valid = false;
    size_t len = utf8_step(s.data + at, s.len - at, &is_valid);
    if (!is_valid) {
        return (struct character){-1, len};
    }
    const unsigned char *c = (const unsigned char *)s.data + at;
    if (len == 1) {
        return (struct character){c[0], 1};
    }
    int32_t code = c[0] & (0x7F >> len);
    for (size_t i = 1; i < len; i++) {
        code = code << 6 | (c[i] & 0x3F);
    }
    return (struct character){code, len};
}

static size_t characters(struct span s)
{
    size_t count = 0;
    for (size_t at = 0; at < s.len; count++) {
        at += character_at(s, at).len;
    }
    return count;
}

/* [^\u4E00-\u9FA5\s], with \s as Java sees it; and no NUL, where C would cut the name short. */
static bool is_plain(int32_t code)
{
    bool is_space = code == ' ' || (code >= '\t' && code <= '\r');
    return code > 0 && !is_space && !(code >= 0x4E00 && code <= 0x9FA5);
}

static bool is_plain_text(struct span s)
{
    for (size_t at = 0; at < s.len;) {
        struct character c = character_at(s, at);
        if (!is_plain(c.code)) {
            return false;
        }
        at += c.len;
    }
    return true;
}

/* ^(?!@).((?!@@)[^\u4E00-\u9FA5\s])*$ : the first character may be anything but '@' and an end of
 * line. */
static bool is_service(struct span s)
{
    struct character first = character_at(s, 0);
    bool is_line_end = first.code == '\n' || first.code == '\r' || first.code == 0x85 ||
                       first.code == 0x2028 || first.code == 0x2029;
    if (first.code <= 0 || first.code == '@' || is_line_end) {
        return false;
    }
    struct span rest = span_of(s.data + first.len, s.len - first.len);
    return is_plain_text(rest) && !(rest.len && memmem(rest.data, rest.len, "@@", 2));
}

static int check_service(struct span name, struct fail *fail)
{
    if (characters(name) > NAME_SERVICE_MAX) {
        return too_long(fail, "serviceName", NAME_SERVICE_MAX);
    }
    /* DIFF(service-name-bytes): Nacos counts characters only; our tables are bounded by bytes. */
    if (name.len > NAME_SERVICE_BYTES_MAX) {
        return fail_set(fail, E_PARAM,
                        "Param 'serviceName' is illegal, the param length should not exceed %d "
                        "bytes of UTF-8.",
                        NAME_SERVICE_BYTES_MAX);
    }
    return is_blank(name) || is_service(name) ? 0 : bad_characters(fail, "serviceName");
}

int name_check(const struct service_name *n, struct fail *fail)
{
    /* All of these are ASCII or refused: bytes are characters. */
    if (n->namespace_id.len > NAME_NAMESPACE_MAX) {
        return too_long(fail, "namespaceId/tenant", NAME_NAMESPACE_MAX);
    }
    if (n->namespace_id.len == 0 || !is_word(n->namespace_id, ALSO_DASH | ALSO_UNDERSCORE)) {
        return bad_characters(fail, "namespaceId/tenant");
    }
    int err = check_service(n->name, fail);
    if (err) {
        return err;
    }
    if (n->group.len > NAME_GROUP_MAX) {
        return too_long(fail, "group", NAME_GROUP_MAX);
    }
    bool is_group_blank = is_blank(n->group);
    if (!is_group_blank && !is_word(n->group, ALSO_DASH | ALSO_UNDERSCORE | ALSO_COLON_DOT)) {
        return bad_characters(fail, "group");
    }
    if (is_blank(n->name)) {
        return fail_set_codes(fail, E_INVALID, 500, 0,
                              "Param 'serviceName' is illegal, serviceName is blank");
    }
    if (is_group_blank) {
        return fail_set_codes(fail, E_INVALID, 500, 0,
                              "Param 'groupName' is illegal, groupName is blank");
    }
    return 0;
}

/* As String.split(","): empty parts at the end do not count. */
static struct span without_last_commas(struct span s)
{
    while (s.len > 0 && s.data[s.len - 1] == ',') {
        s.len--;
    }
    return s;
}

int name_check_clusters(struct span clusters, struct fail *fail)
{
    if (is_blank(clusters)) {
        return 0;
    }
    struct span rest = without_last_commas(clusters);
    while (rest.len > 0) {
        struct span cluster = span_cut(&rest, ',');
        if (cluster.len > NAME_CLUSTER_MAX) {
            return too_long(fail, "cluster", NAME_CLUSTER_MAX);
        }
        if (cluster.len == 0 || !is_word(cluster, ALSO_DASH | ALSO_UNDERSCORE)) {
            return bad_characters(fail, "cluster");
        }
    }
    return 0;
}

int name_refuse_metadata(struct fail *fail)
{
    return too_long(fail, "Metadata", NAME_METADATA_MAX);
}

static int check_metadata(const struct instance_data *i, struct fail *fail)
{
    /* Short texts need no counting: a character is at least one byte. */
    size_t bytes = 0;
    for (size_t at = 0; at < i->metadata_count; at++) {
        bytes += i->metadata[at].key.len + i->metadata[at].value.len;
    }
    if (bytes <= NAME_METADATA_MAX && i->metadata_count <= INSTANCE_METADATA_MAX) {
        return 0;
    }
    size_t count = 0;
    for (size_t at = 0; at < i->metadata_count && count <= NAME_METADATA_MAX; at++) {
        count += characters(i->metadata[at].key) + characters(i->metadata[at].value);
    }
    if (count > NAME_METADATA_MAX || i->metadata_count > INSTANCE_METADATA_MAX) {
        return name_refuse_metadata(fail);
    }
    return 0;
}

int name_check_instance(const struct instance_data *i, struct fail *fail)
{
    int err = check_service(i->service_name, fail);
    err = err ? err : name_check_clusters(i->cluster, fail);
    if (err) {
        return err;
    }
    if (i->cluster.len > NAME_CLUSTER_MAX) {
        return too_long(fail, "cluster", NAME_CLUSTER_MAX);
    }
    if (characters(i->ip) > NAME_IP_MAX) {
        return too_long(fail, "ip", NAME_IP_MAX);
    }
    if (!is_blank(i->ip) && !is_plain_text(i->ip)) {
        return bad_characters(fail, "ip");
    }
    if (i->port < 0 || i->port > NAME_PORT_MAX) {
        return fail_set(fail, E_PARAM,
                        "Param 'port' is illegal, the value should be between 0 and %d.",
                        NAME_PORT_MAX);
    }
    /* DIFF(instance-id-length): Nacos has no limit; the generated ones are far below ours. */
    if (i->instance_id.len > NAME_INSTANCE_ID_MAX) {
        return too_long(fail, "instanceId", NAME_INSTANCE_ID_MAX);
    }
    return check_metadata(i, fail);
}

int name_check_registration(const struct instance_data *i, struct fail *fail)
{
    if (!(i->weight >= 0.0 && i->weight <= INSTANCE_WEIGHT_MAX)) {
        return fail_set_codes(fail, E_INVALID, 400, V2_WEIGHT_ERROR,
                              "instance format invalid: The weights range from 0.0 to 10000.0");
    }
    int64_t interval_ms = instance_data_millis(i, "preserved.heart.beat.interval", 5000);
    int64_t timeout_ms = instance_data_millis(i, "preserved.heart.beat.timeout", 15000);
    int64_t delete_ms = instance_data_millis(i, "preserved.ip.delete.timeout", 30000);
    if (timeout_ms < interval_ms || delete_ms < interval_ms) {
        return fail_set_codes(fail, E_INVALID, 400, V2_INSTANCE_ERROR,
                              "Instance 'heart beat interval' must less than 'heart beat timeout' "
                              "and 'ip delete timeout'.");
    }
    if (!is_word(i->cluster, ALSO_DASH)) {
        return fail_set_codes(fail, E_INVALID, 400, V2_INSTANCE_ERROR,
                              "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. "
                              "(current: %.*s)",
                              SPAN_ARG(i->cluster));
    }
    return 0;
}

bool name_cluster_in(struct span clusters, struct span cluster)
{
    struct span rest = without_last_commas(clusters);
    if (is_blank(rest)) {
        return true;
    }
    while (rest.len > 0) {
        if (span_eq(span_cut(&rest, ','), cluster)) {
            return true;
        }
    }
    return false;
}
