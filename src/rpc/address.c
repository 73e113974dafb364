#include "rpc/address.h"

#include <stddef.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return -1;
}

/* Percent-decoded and cut to fit; returns the length. What is no escape stays as it is. */
static size_t decode(struct span text, char *dst, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len && len < size - 1; i++) {
        char c = text.data[i];
        if (c == '%' && i + 2 < text.len) {
            int high = hex_digit(text.data[i + 1]);
            int low = hex_digit(text.data[i + 2]);
            if (high >= 0 && low >= 0) {
                c = (char)(high * 16 + low);
                i += 2;
            }
        }
        dst[len++] = c;
    }
    dst[len] = '\0';
    return len;
}

static struct span without_brackets(struct span host)
{
    if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']') {
        return span_of(host.data + 1, host.len - 2);
    }
    return host;
}

struct address address_parse(struct span peer)
{
    struct address a = {0};
    if (!span_starts(peer, SPAN("ipv4:")) && !span_starts(peer, SPAN("ipv6:"))) {
        decode(peer, a.ip, sizeof(a.ip));
        return a;
    }
    struct span rest = span_of(peer.data + 5, peer.len - 5);
    char text[ADDRESS_IP_MAX + 16];
    size_t len = decode(rest, text, sizeof(text));
    size_t colon = len;
    while (colon > 0 && text[colon - 1] != ':') {
        colon--;
    }
    long long port = 0;
    struct span host = span_of(text, len);
    if (colon > 0 && span_int(span_of(text + colon, len - colon), &port) && port >= 0 &&
        port <= UINT16_MAX) {
        a.port = (uint16_t)port;
        host = span_of(text, colon - 1);
    }
    host = without_brackets(host);
    size_t copy = host.len < sizeof(a.ip) - 1 ? host.len : sizeof(a.ip) - 1;
    memcpy(a.ip, host.data, copy);
    a.ip[copy] = '\0';
    return a;
}
