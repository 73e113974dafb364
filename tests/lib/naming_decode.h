/* Decoding one request of the registry, for tests of what is read and with which words the rest is
 * refused.
 *
 * Thread:  any.
 */
#ifndef NACRE_TESTS_NAMING_DECODE_H
#define NACRE_TESTS_NAMING_DECODE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/row.h"
#include "base/mem.h"

static inline void call_open(struct api_call *call)
{
    *call = (struct api_call){0};
    arena_init(&call->arena, API_ARENA_MAX);
}

static inline void call_close(struct api_call *call)
{
    body_close(&call->reply.body);
    arena_close(&call->arena);
}

/* The decoder refuses json with this code and these words, byte for byte. */
static inline void refuse(api_decode_rpc_fn decode, const char *json, int err, const char *text)
{
    struct api_call call;
    struct fail fail = {0};
    call_open(&call);
    int got = decode(&call, span_str(json), &fail);
    if (got != err || fail.code != err || strcmp(fail.text, text) != 0) {
        fail_msg("%.300s\nexpected %s %s\ngot      %s %s", json, err_name(err), text, err_name(got),
                 fail.text);
    }
    call_close(&call);
}

/* Decode what must be right; the caller closes the call. */
static inline void *take(api_decode_rpc_fn decode, struct api_call *call, const char *json)
{
    struct fail fail = {0};
    call_open(call);
    int err = decode(call, span_str(json), &fail);
    if (err) {
        fail_msg("%.200s\nfailed with %s", json, fail.text);
    }
    assert_non_null(call->msg);
    return call->msg;
}

static inline void assert_span(struct span got, const char *want)
{
    if (!span_eq(got, span_str(want))) {
        fail_msg("expected \"%s\", got \"%.*s\"", want, SPAN_ARG(got));
    }
}

/* begin, text count times over, end; the caller frees it (mem_free). */
static inline char *repeat(const char *begin, const char *text, size_t count, const char *end)
{
    size_t len = strlen(text);
    size_t begin_len = strlen(begin);
    char *all = mem_zalloc(begin_len + len * count + strlen(end) + 1, 1);
    memcpy(all, begin, begin_len);
    for (size_t i = 0; i < count; i++) {
        memcpy(all + begin_len + i * len, text, len);
    }
    memcpy(all + begin_len + len * count, end, strlen(end));
    return all;
}

/* What stands in every request. */
#define NAMED "\"serviceName\":\"demo\",\"groupName\":\"DEFAULT_GROUP\""

/* gRPC's form of the texts of the parameter check (grpc-sdk.md 5.1). */
#define TOO_LONG(what, max)                                                                        \
    "Param check invalid:Param '" what "' is illegal, the param length should not exceed " max "."
#define ILLEGAL(what)                                                                              \
    "Param check invalid:Param '" what                                                             \
    "' is illegal, illegal characters should not appear in the param."
#define BAD_PORT                                                                                   \
    "Param check invalid:Param 'port' is illegal, the value should be between 0 and 65535."

#endif
