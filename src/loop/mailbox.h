/* A many-to-one queue of messages: any thread posts, one thread drains.
 *
 * Thread:  mailbox_post: any. mailbox_drain, mailbox_close: the consumer.
 * Owns:    the messages from post until drain. A message embeds struct mail as its FIRST member.
 * Limits:  len_max messages; post refuses beyond it.
 */
#ifndef NACRE_LOOP_MAILBOX_H
#define NACRE_LOOP_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

/* First member of every message. */
struct mail {
    struct mail *next;
};

/* Embedded by its owner. */
struct mailbox {
    pthread_mutex_t lock; /* guards head, tail, len, closed */
    struct mail *head;
    struct mail *tail;
    size_t len;
    size_t len_max;
    bool closed;
};

/* Make an empty mailbox. len_max: messages. */
void mailbox_init(struct mailbox *m, size_t len_max);

/* Frees nothing: drain first. */
void mailbox_close(struct mailbox *m);

/* Append mail. *ret_was_empty tells the poster to wake the consumer.
 * E_LIMIT  len_max messages wait already   E_CLOSED  mailbox_shut was called
 * On an error the message stays the caller's. */
MUST_USE int mailbox_post(struct mailbox *m, struct mail *mail, bool *ret_was_empty);

/* Take everything, oldest first; NULL when empty. */
MUST_USE struct mail *mailbox_drain(struct mailbox *m);

/* Nothing waits, at this moment. */
MUST_USE bool mailbox_is_empty(struct mailbox *m);

/* Refuse further posts with E_CLOSED. */
void mailbox_shut(struct mailbox *m);

#endif
