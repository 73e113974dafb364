/* Rows: one line per gRPC request type and per HTTP route. Adding one is adding a row.
 *
 * A row says how its request is decoded (edge), read (edge, without the core) and admitted (core),
 * which permission it needs, and how a failure looks.
 *
 * Thread:  tables are constant. decode, read: the edge's thread. admit: core.
 */
#ifndef NACRE_API_ROW_H
#define NACRE_API_ROW_H

#include <stddef.h>

#include "api/call.h"
#include "api/outbox.h"
#include "api/params.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/span.h"

/* What a read or admit function says besides a negative error (with fail set). */
enum api_next {
    API_ANSWERED = 0, /* call->reply is filled */
    API_LATER = 1,    /* admit only: the answer follows when the log has committed; the callee keeps
                         the call */
    API_TO_CORE = 2,  /* read only: the view is stale, run admit on core */
};

enum api_permission {
    API_OPEN,        /* never checked */
    API_NAMING_READ, /* data plane: checked when nacos.core.auth.enabled */
    API_NAMING_WRITE,
    API_CONFIG_READ,
    API_CONFIG_WRITE,
    API_ADMIN, /* administration: never open (design.md 6) */
};

enum api_method { API_GET = 1, API_POST = 2, API_PUT = 4, API_DELETE = 8, API_PATCH = 16 };

/* How a failure is written. */
enum api_shape {
    API_SHAPE_TYPED, /* gRPC: the row's reply type, resultCode 500 */
    API_SHAPE_READ,  /* gRPC: as TYPED, but an internal failure (E_INTERNAL, E_TIMEOUT, E_LIMIT) is
                        an ErrorResponse (grpc-sdk.md 1.4) */
    API_SHAPE_NAMING1, /* HTTP /v1/ns: bare text */
    API_SHAPE_TEXT,    /* HTTP console, core: "caused: M;" escaped */
    API_SHAPE_V2,      /* HTTP v2: {"code","message","data"} */
};

/* Decode a gRPC body (JSON text) into call->msg, in call->arena. */
typedef int (*api_decode_rpc_fn)(struct api_call *call, struct span body, struct fail *fail);
/* Decode HTTP parameters into call->msg, in call->arena. It may set call->row to another row, which
 * answers in this one's place: a route that means different things by a parameter. */
typedef int (*api_decode_http_fn)(struct api_call *call, const struct api_params *params,
                                  struct fail *fail);
/* Answer on the edge, from the view. Returns enum api_next or a negative code with fail set. */
typedef int (*api_read_fn)(void *self, struct api_call *call, struct now now, struct fail *fail);
/* Decide on core. Returns enum api_next or a negative code with fail set. */
typedef int (*api_admit_fn)(void *self, struct api_call *call, struct now now, struct outbox *out,
                            struct fail *fail);

struct api_row {
    const char *name; /* gRPC: request type. HTTP: path below the context, "/v1/ns/instance" */
    const char *reply_type; /* gRPC only */
    unsigned methods;       /* HTTP only: enum api_method, or-ed */
    enum api_permission permission;
    enum api_shape shape;
    const char *fail_extra; /* gRPC: raw JSON members that a typed failure carries too, or NULL */
    api_decode_rpc_fn decode_rpc;
    api_decode_http_fn decode_http;
    api_read_fn read;   /* NULL: straight to core */
    api_admit_fn admit; /* NULL: read never says API_TO_CORE */
};

/* A feature's rows with the objects its functions are given. Plain data; the arrays outlive the
 * edges. */
struct api_rows {
    const struct api_row *rpc;
    size_t rpc_count;
    const struct api_row *http;
    size_t http_count;
    void *read_self;
    void *admit_self;
};

/* May this caller do this? The permission hook; NULL in the edges' options lets the data plane pass
 * and refuses API_ADMIN. Any edge thread. E_FORBIDDEN with the reason. */
typedef int (*api_permit_fn)(void *self, const struct api_call *call, struct fail *fail);

#endif
