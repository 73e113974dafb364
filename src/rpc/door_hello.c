#include "rpc/door_hello.h"

#include <stdint.h>

#define RECORD_HANDSHAKE 0x16
#define RECORD_LEN_MAX (16 << 10)
#define MESSAGE_CLIENT_HELLO 1
#define EXTENSION_SERVER_NAME 0
#define NAME_HOST 0
#define VERSION_AND_RANDOM 34
#define SESSION_ID_MAX 32

/* A cursor that remembers its first overrun: then everything it gives is zero and empty. */
struct cursor {
    struct span rest;
    bool failed;
};

static struct span take(struct cursor *c, size_t len)
{
    if (c->failed || c->rest.len < len) {
        c->failed = true;
        return (struct span){0};
    }
    struct span taken = span_of(c->rest.data, len);
    c->rest = span_of(c->rest.data + len, c->rest.len - len);
    return taken;
}

/* A number of width bytes, the highest first. */
static size_t take_number(struct cursor *c, size_t width)
{
    struct span bytes = take(c, width);
    size_t number = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        number = number << 8 | (uint8_t)bytes.data[i];
    }
    return number;
}

/* What a length of width bytes announces. */
static struct span take_vector(struct cursor *c, size_t width)
{
    size_t len = take_number(c, width);
    return take(c, len);
}

/* The first host name of a server_name extension. False when it is malformed. */
static bool read_names(struct span extension, struct span *name)
{
    struct cursor outer = {.rest = extension};
    struct cursor list = {.rest = take_vector(&outer, 2)};
    if (outer.failed || outer.rest.len > 0) {
        return false;
    }
    while (list.rest.len > 0) {
        size_t type = take_number(&list, 1);
        struct span value = take_vector(&list, 2);
        if (list.failed) {
            return false;
        }
        if (type == NAME_HOST && name->len == 0) {
            *name = value;
        }
    }
    return true;
}

static bool read_extensions(struct span bytes, struct span *name)
{
    struct cursor list = {.rest = bytes};
    while (list.rest.len > 0) {
        size_t type = take_number(&list, 2);
        struct span value = take_vector(&list, 2);
        if (list.failed || (type == EXTENSION_SERVER_NAME && !read_names(value, name))) {
            return false;
        }
    }
    return true;
}

/* A whole record's content. */
static bool read_message(struct span record, struct span *name)
{
    struct cursor outer = {.rest = record};
    size_t type = take_number(&outer, 1);
    struct cursor hello = {.rest = take_vector(&outer, 3)};
    if (type != MESSAGE_CLIENT_HELLO || outer.failed || outer.rest.len > 0) {
        return false;
    }
    (void)take(&hello, VERSION_AND_RANDOM);
    struct span session = take_vector(&hello, 1);
    struct span ciphers = take_vector(&hello, 2);
    struct span compressions = take_vector(&hello, 1);
    if (hello.failed || session.len > SESSION_ID_MAX || ciphers.len < 2 || ciphers.len % 2 != 0 ||
        compressions.len == 0) {
        return false;
    }
    if (hello.rest.len == 0) {
        return true; /* TLS 1.2 may go without extensions */
    }
    struct span extensions = take_vector(&hello, 2);
    return !hello.failed && hello.rest.len == 0 && read_extensions(extensions, name);
}

/* Byte by byte, so that what is none is known as soon as it shows. */
static bool may_be_hello(struct span seen)
{
    const uint8_t *bytes = (const uint8_t *)seen.data;
    size_t len = seen.len >= DOOR_HELLO_HEAD ? (size_t)bytes[3] << 8 | bytes[4] : 1;
    return (seen.len < 1 || bytes[0] == RECORD_HANDSHAKE) && (seen.len < 2 || bytes[1] == 3) &&
           len > 0 && len <= RECORD_LEN_MAX &&
           (seen.len <= DOOR_HELLO_HEAD || bytes[DOOR_HELLO_HEAD] == MESSAGE_CLIENT_HELLO);
}

enum door_hello door_hello_read(struct span seen, struct span *ret_name)
{
    if (!may_be_hello(seen)) {
        return DOOR_HELLO_BAD;
    }
    struct cursor c = {.rest = seen};
    (void)take(&c, DOOR_HELLO_HEAD - 2);
    struct span record = take_vector(&c, 2);
    if (c.failed) {
        return DOOR_HELLO_MORE;
    }
    struct span name = {0};
    if (!read_message(record, &name)) {
        return DOOR_HELLO_BAD;
    }
    *ret_name = name;
    return DOOR_HELLO_DONE;
}
