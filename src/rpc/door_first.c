#include "rpc/door_first.h"

#include "base/macros.h"

#define TLS_HANDSHAKE '\x16'

static const struct span PREFACE = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24};
static const struct span METHODS[] = {
    {"GET ", 4},    {"POST ", 5},    {"PUT ", 4},   {"HEAD ", 5},
    {"DELETE ", 7}, {"OPTIONS ", 8}, {"PATCH ", 6}, {"CONNECT ", 8},
};

/* MORE while seen is a beginning of whole, then found. */
static enum door_first compare(struct span seen, struct span whole, enum door_first found)
{
    if (seen.len < whole.len) {
        return span_starts(whole, seen) ? DOOR_FIRST_MORE : DOOR_FIRST_ALIEN;
    }
    return span_starts(seen, whole) ? found : DOOR_FIRST_ALIEN;
}

static enum door_first look_at_text(struct span seen)
{
    enum door_first kind = compare(seen, PREFACE, DOOR_FIRST_PLAIN);
    for (size_t i = 0; i < ARRAY_LEN(METHODS) && kind == DOOR_FIRST_ALIEN; i++) {
        kind = compare(seen, METHODS[i], DOOR_FIRST_HTTP1);
    }
    return kind;
}

enum door_first door_first_look(struct span seen)
{
    if (seen.len == 0) {
        return DOOR_FIRST_MORE;
    }
    if (seen.data[0] != TLS_HANDSHAKE) {
        return look_at_text(seen);
    }
    struct span name = {0};
    switch (door_hello_read(seen, &name)) {
    case DOOR_HELLO_MORE:
        return DOOR_FIRST_MORE;
    case DOOR_HELLO_DONE:
        return span_ieq(name, SPAN(DOOR_PEER_NAME)) ? DOOR_FIRST_PEER : DOOR_FIRST_TLS;
    case DOOR_HELLO_BAD:
        break;
    }
    return DOOR_FIRST_ALIEN;
}
