/* What one node asks another on behalf of a person, and the answers: orders about members, which
 * only the leader carries out, and figures of connections. As frames (PEER_QUERY, PEER_ANSWER) and
 * their codec (proto/query.proto, protobuf-c).
 *
 * Thread:  any; no state.
 * Limits:  QUERY_ADDRESS_MAX bytes of an address, QUERY_TEXT_MAX of an answer; a longer text is cut
 *          when it is encoded.
 */
#ifndef NACRE_CLUSTER_QUERY_H
#define NACRE_CLUSTER_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define QUERY_VERSION 1
#define QUERY_ADDRESS_MAX 255
#define QUERY_TEXT_MAX (64u << 10)
#define QUERY_BYTES_MAX 512
#define ANSWER_BYTES_MAX (QUERY_TEXT_MAX + 256)
#define ANSWER_FIGURES_MAX 4

enum query_kind {
    QUERY_MEMBERS = 1,  /* who is there, as the leader sees it */
    QUERY_ADD = 2,      /* take in who answers at address */
    QUERY_REMOVE = 3,   /* let the member at address go */
    QUERY_TRANSFER = 4, /* let the member at address lead; "": whoever is up to date */
    QUERY_LOAD = 5,     /* figures: enum load_figure */
    QUERY_RELOAD = 6,   /* keep count connections, send the others to address */
};

/* Plain data. */
struct query {
    enum query_kind kind;
    uint64_t id; /* of who asks; comes back with the answer */
    char address[QUERY_ADDRESS_MAX + 1];
    bool is_json;
    uint64_t count;
};

enum answer_state {
    ANSWER_PROGRESS = 1, /* more follows; text says what is waited for */
    ANSWER_DONE = 2,
    ANSWER_FAILED = 3, /* text says why */
};

/* Plain data; text is borrowed. */
struct answer {
    enum answer_state state;
    uint64_t id;
    struct span text;
    uint64_t figures[ANSWER_FIGURES_MAX];
    size_t figures_count;
};

/* Pack; one reference. */
MUST_USE struct buf *query_encode(const struct query *q);
MUST_USE struct buf *answer_encode(const struct answer *a);

/* Unpack. A kind that this version does not know is no error: the caller answers so.
 * E_PARSE  damaged, too long, another version, an address with a NUL or line end */
MUST_USE int query_decode(struct span bytes, struct query *ret, struct fail *fail);

/* Unpack; *ret_text owns what ret->text borrows, and is the caller's to unref.
 * E_PARSE  damaged, too long, another version, an unknown state */
MUST_USE int answer_decode(struct span bytes, struct answer *ret, struct buf **ret_text,
                           struct fail *fail);

#endif
