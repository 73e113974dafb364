/* A request on its way: edge -> (core) -> edge, the same for gRPC and HTTP.
 *
 * Thread:  owned by one thread at a time; ownership moves with the mail. The edge makes it, the
 * core may keep it until the log has committed, the edge frees it after deliver. Owns:    its arena
 * (everything decoded lives there) and its reply. Limits:  API_ARENA_MAX bytes of decoded request.
 */
#ifndef NACRE_API_CALL_H
#define NACRE_API_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "api/core_mail.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/span.h"

#define API_ARENA_MAX (64u << 20)

enum api_source { API_GRPC, API_HTTP };

/* Who asks. Spans live in the call's arena or, for conn_id and remote_ip, in the peer that the edge
 * holds. Plain data. */
struct api_caller {
    enum api_source source;
    uint64_t conn;         /* gRPC: the connection's key; HTTP: 0 */
    struct span conn_id;   /* gRPC: "{millis}_{ip}_{port}" */
    struct span remote_ip; /* the address of the socket */
    struct span client_ip; /* gRPC: self-reported at setup; HTTP: remote_ip */
    struct span app;       /* header app, or the setup's AppName; "" when unknown */
    struct span agent;     /* clientVersion of the setup, or User-Agent / Client-Version */
    struct span tag; /* of gray configs, when the request names none: header Vipserver-Tag, else the
                        setup's label app_Vipserver-Tag */
    bool notified;   /* header notify: the client reads because it was told of a change */
    uint16_t remote_port;
};

/* A response header of HTTP; gRPC has none. Plain data, in the call's arena or static. A value with
 * a line break is not sent. */
struct api_header {
    const char *name;
    struct span value; /* followed by a NUL, as arena_span and arena_printf leave it */
};

/* What goes back. On failure (fail.code < 0) body is empty and the edge writes the row's error
 * shape. */
struct api_reply {
    struct fail fail;
    int http_status;                  /* 0: 200 */
    const char *content_type;         /* static text; NULL: the shape's default; "": none */
    const struct api_header *headers; /* HTTP only, besides the edge's own */
    unsigned headers_count;
    struct body body;
};

struct api_row;

/* Embedded as the first member of the edge's own call object. */
struct api_call {
    struct core_mail mail; /* kind CORE_CALL */
    const struct api_row *row;
    void *admit_self; /* the feature's core object, for row->admit */
    struct api_caller caller;
    struct arena arena;
    void *msg; /* the row's decoded request, in the arena */
    struct api_reply reply;
    uint64_t started_ns; /* monotonic, for metrics */
    /* Of a read that waits at the gate (gate.h): until when at most, 0: it did not wait yet; and
     * whether it has waited enough and is answered with what is here. */
    uint64_t gate_until_ms;
    bool is_as_it_is;
    uint64_t gate_index; /* of an answered one: the entry that it shows, and waits for; 0: none */
    /* Give the answered call back to its edge. Any thread; called exactly once; the call is the
     * edge's afterwards. */
    void (*deliver)(struct api_call *call);
};

/* Answer with a body; takes the body's references. */
void api_answer(struct api_call *call, struct body *take_body);

/* Answer with one buffer; takes the reference. */
void api_answer_buf(struct api_call *call, struct buf *take_buf);

/* Answer with a static text, which is not copied per call more than once. */
void api_answer_text(struct api_call *call, struct span text);

/* Answer with the text a JSON writer holds; the writer is emptied. */
struct json_out;
void api_answer_json(struct api_call *call, struct json_out *j);

#endif
