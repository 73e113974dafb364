/* A configuration centre behind the fake gRPC server: keeps the last revision of each config, and
 * is wrong in the ways that a test asks for.
 *
 * Thread:  the test's.
 */
#ifndef NACRE_TESTS_FAKE_CONFIG_H
#define NACRE_TESTS_FAKE_CONFIG_H

#include <stdio.h>
#include <string.h>

#include "bench/messages_config.h"
#include "fake_grpc.h"

#define FAKE_CONFIGS 64

enum fake_config_fault {
    FAKE_NO_FAULT,
    FAKE_REFUSES,   /* every publish is refused */
    FAKE_FORGETS,   /* publishes are acknowledged, and not kept */
    FAKE_CUTS,      /* contents are read short */
    FAKE_SAYS_NONE, /* no notice goes out */
    FAKE_SAYS_OLD,  /* listens are answered "unchanged" */
    FAKE_NO_MD5     /* queries are answered without */
};

/* Zero-initialised is empty. fault is the test's to set, the rest to read. */
struct fake_config {
    enum fake_config_fault fault;
    uint64_t revision[FAKE_CONFIGS];
    bool is_there[FAKE_CONFIGS];
    unsigned publishes;
    unsigned queries;
    unsigned listens;
    unsigned highest; /* number of a config */
};

static inline unsigned fake_config_number(struct span body)
{
    struct span id = msg_quoted_after(body, SPAN("\"dataId\":\""));
    long long number = 0;
    bool good = id.len > FRAME_DIGITS &&
                span_int(span_of(id.data + id.len - FRAME_DIGITS, FRAME_DIGITS), &number);
    return good ? (unsigned)number % FAKE_CONFIGS : 0;
}

static inline void fake_config_publish(struct fake_config *c, struct fake_grpc *f, unsigned n,
                                       struct span body, struct frame *reply)
{
    char notice[160];
    c->publishes++;
    if (c->fault == FAKE_REFUSES) {
        frame_build(reply, "ConfigPublishResponse",
                    SPAN("{\"resultCode\":500,\"errorCode\":500,\"message\":\"full\"}"), NULL);
        return;
    }
    c->highest = n > c->highest ? n : c->highest;
    if (c->fault == FAKE_FORGETS) {
        return;
    }
    c->is_there[n] = msg_content_revision(body, &c->revision[n]);
    if (c->fault != FAKE_SAYS_NONE) {
        (void)snprintf(notice, sizeof(notice),
                       "{\"requestId\":\"7\",\"dataId\":\"x\",\"group\":\"g\"}");
        fake_grpc_push(f, "ConfigChangeNotifyRequest", notice);
    }
}

static inline void fake_config_query(struct fake_config *c, unsigned n, struct frame *reply)
{
    char body[512];
    c->queries++;
    if (!c->is_there[n]) {
        frame_build(reply, "ConfigQueryResponse",
                    SPAN("{\"resultCode\":500,\"errorCode\":300,\"message\":\"config data not "
                         "exist\"}"),
                    NULL);
        return;
    }
    (void)snprintf(
        body, sizeof(body), "{\"resultCode\":200,\"content\":\"%010u%s\"%s%032u\"}",
        (unsigned)c->revision[n], c->fault == FAKE_CUTS ? "" : "klmnopqrstuvwxyzabcdefghij",
        c->fault == FAKE_NO_MD5 ? ",\"no\":\"" : ",\"md5\":\"", (unsigned)c->revision[n]);
    frame_build(reply, "ConfigQueryResponse", span_str(body), NULL);
}

static inline void fake_config_listen(struct fake_config *c, unsigned n, struct span body,
                                      struct frame *reply)
{
    char md5[40];
    c->listens++;
    (void)snprintf(md5, sizeof(md5), "%032u", (unsigned)c->revision[n]);
    bool same = span_eq(msg_config_md5(body), span_str(md5));
    bool old = c->fault == FAKE_SAYS_OLD && !span_empty(msg_config_md5(body));
    frame_build(reply, "ConfigChangeBatchListenResponse",
                same || old ? SPAN("{\"resultCode\":200,\"changedConfigs\":[]}")
                            : SPAN("{\"resultCode\":200,\"changedConfigs\":[{\"dataId\":\"x\"}]}"),
                NULL);
}

/* The fake server's on_request; its arg is the struct fake_config. */
static inline void fake_config_request(struct fake_grpc *f, struct span type, struct span body,
                                       struct frame *reply)
{
    struct fake_config *c = f->arg;
    unsigned n = fake_config_number(body);
    if (span_eq(type, SPAN("ConfigPublishRequest"))) {
        fake_config_publish(c, f, n, body, reply);
    } else if (span_eq(type, SPAN("ConfigQueryRequest"))) {
        fake_config_query(c, n, reply);
    } else if (span_eq(type, SPAN("ConfigBatchListenRequest"))) {
        fake_config_listen(c, n, body, reply);
    }
}

#endif
