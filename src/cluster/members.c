#include "cluster/members.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/assert.h"
#include "base/mem.h"

#define BOM "\xef\xbb\xbf"
#define LABEL_MAX 63 /* RFC 1035 2.3.4 */
#define ZONE_MAX 15  /* IFNAMSIZ without its NUL */
#define SHOWN_MAX 80 /* bytes of an entry in a sentence */

/* An entry on its way in, and what sentences need. */
struct entry {
    const char *source;
    unsigned line;
    struct span text; /* as written, without a suffix */
    struct span host;
    struct span port; /* data NULL: none was given */
    uint16_t port_default;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static struct span shown(struct span text)
{
    return span_of(text.data, text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
}

static int refuse(const struct entry *e, const char *expected, struct fail *fail)
{
    return fail_set(fail, E_PARSE, "%s line %u: expected %s, found \"%.*s\"", e->source, e->line,
                    expected, SPAN_ARG(shown(e->text)));
}

static void note(struct member_list *list, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void note(struct member_list *list, const char *fmt, ...)
{
    size_t len = strlen(list->notes);
    size_t room = sizeof(list->notes) - len;
    va_list args;
    va_start(args, fmt);
    if (len > 0 && room > 2) {
        memcpy(list->notes + len, "; ", 3);
        len += 2;
        room -= 2;
    }
    (void)vsnprintf(list->notes + len, room, fmt, args);
    va_end(args);
}

static void copy_text(char *dst, size_t size, struct span text)
{
    size_t len = text.len < size ? text.len : size - 1;
    if (len > 0) {
        memcpy(dst, text.data, len);
    }
    dst[len] = '\0';
}

/* Hosts */

/* An IPv6 address, perhaps with a zone (fe80::1%eth0), in canonical form. */
static bool read_ipv6(struct span host, char dst[MEMBER_HOST_MAX + 1])
{
    struct span rest = host;
    struct span address = span_cut(&rest, '%');
    bool has_zone = address.len < host.len;
    char text[INET6_ADDRSTRLEN + 1];
    if (address.len >= sizeof(text) || (has_zone && (rest.len == 0 || rest.len > ZONE_MAX))) {
        return false;
    }
    for (size_t i = 0; i < rest.len; i++) {
        char c = rest.data[i];
        if (c <= ' ' || c > '~' || strchr("%/[]\"", c)) {
            return false;
        }
    }
    copy_text(text, sizeof(text), address);
    struct in6_addr parsed;
    if (inet_pton(AF_INET6, text, &parsed) != 1) {
        return false;
    }
    if (IN6_IS_ADDR_V4MAPPED(&parsed) && !has_zone) {
        return inet_ntop(AF_INET, parsed.s6_addr + 12, dst, MEMBER_HOST_MAX + 1) != NULL;
    }
    if (!inet_ntop(AF_INET6, &parsed, dst, MEMBER_HOST_MAX + 1)) {
        return false;
    }
    size_t len = strlen(dst);
    if (has_zone) {
        (void)snprintf(dst + len, MEMBER_HOST_MAX + 1 - len, "%%%.*s", SPAN_ARG(rest));
    }
    return true;
}

/* A name of letters, digits, "-" and "_" between dots. */
static bool is_name(struct span host)
{
    struct span rest = host;
    while (rest.len > 0) {
        struct span label = span_cut(&rest, '.');
        if (label.len == 0 || label.len > LABEL_MAX || label.data[0] == '-' ||
            label.data[label.len - 1] == '-') {
            return false;
        }
        for (size_t i = 0; i < label.len; i++) {
            char c = label.data[i];
            bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            if (!is_letter && !is_digit(c) && c != '-' && c != '_') {
                return false;
            }
        }
    }
    return host.len > 0 && host.data[host.len - 1] != '.';
}

/* A name whose last part is a number can only be meant as an IPv4 address. */
static bool ends_in_number(struct span host)
{
    size_t at = host.len;
    while (at > 0 && is_digit(host.data[at - 1])) {
        at--;
    }
    return at < host.len && (at == 0 || host.data[at - 1] == '.');
}

static int read_host(const struct entry *e, struct member *m, struct fail *fail)
{
    struct span host = e->host;
    if (memchr(host.data, ':', host.len)) {
        return read_ipv6(host, m->host) ? 0 : refuse(e, "an IPv6 address", fail);
    }
    if (host.len > 1 && host.data[host.len - 1] == '.') {
        host.len--;
    }
    if (host.len > MEMBER_HOST_MAX) {
        return refuse(e, "a host of at most 249 bytes", fail);
    }
    struct in_addr parsed;
    copy_text(m->host, sizeof(m->host), host);
    if (inet_pton(AF_INET, m->host, &parsed) == 1) {
        (void)inet_ntop(AF_INET, &parsed, m->host, sizeof(m->host));
        return 0;
    }
    if (ends_in_number(host)) {
        return refuse(e, "an IPv4 address of four numbers up to 255", fail);
    }
    if (!is_name(host)) {
        return refuse(e, "host, host:port or [ipv6]:port", fail);
    }
    for (char *c = m->host; *c; c++) {
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
    }
    return 0;
}

/* Entries */

static int read_port(const struct entry *e, struct member *m, struct fail *fail)
{
    m->port = e->port_default;
    if (!e->port.data) {
        return 0;
    }
    long long port = 0;
    bool is_number = e->port.len > 0 && is_digit(e->port.data[0]) && span_int(e->port, &port);
    if (!is_number || port < 1 || port > MEMBER_PORT_MAX) {
        return refuse(e, "a main port of 1 to 64534 (the peer port is 1001 higher)", fail);
    }
    m->port = (uint16_t)port;
    return 0;
}

/* Cut host and port. More than one colon outside of brackets: an IPv6 address without a port. */
static int split(struct entry *e, struct fail *fail)
{
    struct span text = e->text;
    if (text.data[0] == '[') {
        const char *end = memchr(text.data, ']', text.len);
        size_t len = end ? (size_t)(end - text.data) - 1 : 0;
        e->host = span_of(text.data + 1, len);
        struct span after = span_of(text.data + len + 2, end ? text.len - len - 2 : 0);
        if (!end || !memchr(e->host.data, ':', len) || (after.len > 0 && after.data[0] != ':')) {
            return refuse(e, "[ipv6] or [ipv6]:port", fail);
        }
        e->port = after.len > 0 ? span_of(after.data + 1, after.len - 1) : (struct span){0};
        return 0;
    }
    const char *colon = memchr(text.data, ':', text.len);
    size_t len = colon ? (size_t)(colon - text.data) : text.len;
    bool is_bare_ipv6 = colon && memchr(colon + 1, ':', text.len - len - 1);
    e->host = is_bare_ipv6 ? text : span_of(text.data, len);
    e->port = colon && !is_bare_ipv6 ? span_of(colon + 1, text.len - len - 1) : (struct span){0};
    if (e->host.len == 0) {
        return refuse(e, "host, host:port or [ipv6]:port", fail);
    }
    return 0;
}

/* An IPv6 address without brackets whose last part looks like a port: both readings are sensible.
 */
static void doubt(struct member_list *list, const struct entry *e)
{
    size_t at = e->text.len;
    bool is_decimal = true;
    while (at > 0 && is_hex(e->text.data[at - 1])) {
        at--;
        is_decimal = is_decimal && is_digit(e->text.data[at]);
    }
    bool is_bare = e->text.data[0] != '[' && e->host.len == e->text.len && at > 0 &&
                   e->text.data[at - 1] == ':';
    if (is_bare && is_decimal && e->text.len - at == 4) {
        note(list,
             "%s line %u: \"%.*s\" is read as an address without a port; with one it is "
             "[address]:port",
             e->source, e->line, SPAN_ARG(shown(e->text)));
    }
}

static int add_entry(struct member_list *list, struct entry *e, struct fail *fail)
{
    struct member m = {.line = e->line};
    struct span rest = e->text;
    e->text = span_cut(&rest, '?');
    if (e->text.len == 0 || memchr(e->text.data, '\0', e->text.len)) {
        return refuse(e, "host, host:port or [ipv6]:port", fail);
    }
    int err = split(e, fail);
    if (err == 0) {
        err = read_host(e, &m, fail);
    }
    if (err == 0) {
        err = read_port(e, &m, fail);
    }
    if (err) {
        return err;
    }
    size_t known = members_find(list, m.host, m.port);
    if (known < list->count) {
        note(list, "%s line %u: \"%.*s\" is there already (line %u)", e->source, e->line,
             SPAN_ARG(shown(e->text)), list->list[known].line);
        return 0;
    }
    if (list->count == MEMBERS_MAX) {
        return fail_set(fail, E_LIMIT, "%s line %u: expected at most %d members", e->source,
                        e->line, MEMBERS_MAX);
    }
    doubt(list, e);
    copy_text(m.written, sizeof(m.written), e->text);
    list->list[list->count++] = m;
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct member *x = a;
    const struct member *y = b;
    int order = strcmp(x->host, y->host);
    return order ? order : (int)x->port - (int)y->port;
}

/* The next entry of a line without its comment; empty at its end. */
static struct span next_entry(struct span *line)
{
    size_t at = 0;
    while (at < line->len && (is_blank(line->data[at]) || line->data[at] == ',')) {
        at++;
    }
    size_t end = at;
    while (end < line->len && !is_blank(line->data[end]) && line->data[end] != ',') {
        end++;
    }
    struct span entry = span_of(line->data + at, end - at);
    *line = span_of(line->data + end, line->len - end);
    return entry;
}

/* The next line without its comment; advances. */
static struct span next_line(struct span *text)
{
    struct span line = span_cut(text, '\n');
    return span_cut(&line, '#');
}

static struct span without_bom(struct span text)
{
    return span_starts(text, SPAN(BOM)) ? span_of(text.data + 3, text.len - 3) : text;
}

int members_parse(const char *source, struct span text, uint16_t port_default,
                  struct member_list *ret, struct fail *fail)
{
    if (text.len > MEMBERS_TEXT_MAX) {
        return fail_set(fail, E_LIMIT, "%s: expected at most %u bytes, found %zu", source,
                        MEMBERS_TEXT_MAX, text.len);
    }
    int err = 0;
    struct member_list *list = mem_zalloc(1, sizeof(*list));
    struct span rest = without_bom(text);
    for (unsigned line = 1; err == 0 && rest.len > 0; line++) {
        struct span left = next_line(&rest);
        struct span word = next_entry(&left);
        for (; err == 0 && word.len > 0; word = next_entry(&left)) {
            struct entry e = {
                .source = source, .line = line, .text = word, .port_default = port_default};
            err = add_entry(list, &e, fail);
        }
    }
    if (err == 0) {
        qsort(list->list, list->count, sizeof(list->list[0]), compare);
        *ret = *list;
    }
    mem_free(list);
    return err;
}

/* Sources */

static bool holds_entry(struct span text)
{
    struct span rest = without_bom(text);
    while (rest.len > 0) {
        struct span line = next_line(&rest);
        if (next_entry(&line).len > 0) {
            return true;
        }
    }
    return false;
}

enum member_source members_choose(const struct member_texts *texts)
{
    const struct {
        enum member_source source;
        struct span text;
    } order[] = {
        {MEMBER_SOURCE_OPTION, texts->option},
        {MEMBER_SOURCE_SERVERS, texts->servers},
        {MEMBER_SOURCE_FILE, texts->file},
        {MEMBER_SOURCE_PROPERTY, texts->property},
    };
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        if (holds_entry(order[i].text)) {
            return order[i].source;
        }
    }
    return MEMBER_SOURCE_NONE;
}

const char *member_source_name(enum member_source source)
{
    static const char *const names[] = {
        [MEMBER_SOURCE_NONE] = "no list",
        [MEMBER_SOURCE_OPTION] = "--members",
        [MEMBER_SOURCE_SERVERS] = "NACOS_SERVERS",
        [MEMBER_SOURCE_FILE] = "cluster.conf",
        [MEMBER_SOURCE_PROPERTY] = "nacos.member.list",
    };
    return (size_t)source < ARRAY_LEN(names) ? names[source] : "unknown";
}

/* Lists */

void member_address(const char *host, uint16_t port, char dst[MEMBER_ADDRESS_MAX + 1])
{
    bool is_ipv6 = strchr(host, ':') != NULL;
    int len = snprintf(dst, MEMBER_ADDRESS_MAX + 1, "%s%.*s%s:%u", is_ipv6 ? "[" : "",
                       MEMBER_HOST_MAX, host, is_ipv6 ? "]" : "", (unsigned)port);
    (void)len;
    DASSERT(len > 0 && len <= MEMBER_ADDRESS_MAX); /* a canonical IPv6 host is short */
}

size_t members_find(const struct member_list *list, const char *host, uint16_t port)
{
    size_t at = 0;
    while (at < list->count &&
           (list->list[at].port != port || strcmp(list->list[at].host, host) != 0)) {
        at++;
    }
    return at;
}

bool members_eq(const struct member_list *a, const struct member_list *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (compare(&a->list[i], &b->list[i]) != 0) {
            return false;
        }
    }
    return true;
}

void members_hash(const struct member_list *list, uint8_t dst[MEMBERS_HASH_BYTES])
{
    char text[MEMBERS_MAX * (MEMBER_ADDRESS_MAX + 1)];
    size_t len = 0;
    for (size_t i = 0; i < list->count; i++) {
        char address[MEMBER_ADDRESS_MAX + 1];
        member_address(list->list[i].host, list->list[i].port, address);
        size_t n = strlen(address);
        memcpy(text + len, address, n);
        text[len + n] = '\n';
        len += n + 1;
    }
    (void)SHA256((const unsigned char *)text, len, dst);
}
