/* What the core's mailbox carries.
 *
 * Thread:  made on an edge, ownership moves to the core (loop_post).
 */
#ifndef NACRE_API_CORE_MAIL_H
#define NACRE_API_CORE_MAIL_H

#include "loop/mailbox.h"

enum core_mail_kind {
    CORE_CALL,        /* struct api_call */
    CORE_CONN_OPEN,   /* struct conn_open: a setup arrived on a stream */
    CORE_CONN_CLOSED, /* struct conn_closed: the stream is over */
    CORE_CONN_ACK,    /* struct conn_ack: an ack arrived on a stream */
    CORE_PEER,        /* of the links to other nodes; node/peers.c's own */
    CORE_DB,          /* a db thread has finished something; the core's own, one at a time */
    CORE_STOP,        /* struct core_mail: begin the graceful stop */
};

/* First member of everything posted to the core. */
struct core_mail {
    struct mail mail;
    enum core_mail_kind kind;
};

/* The core as an edge sees it. post: E_LIMIT (too much waits: answer 503) or E_CLOSED; the message
 * stays the caller's on error. */
struct core_port {
    void *self;
    int (*post)(void *self, struct core_mail *take_mail);
};

#endif
