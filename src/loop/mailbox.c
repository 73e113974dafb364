#include "loop/mailbox.h"

#include "base/assert.h"
#include "base/err.h"

static void lock(struct mailbox *m)
{
    ASSERT(pthread_mutex_lock(&m->lock) == 0);
}

static void unlock(struct mailbox *m)
{
    ASSERT(pthread_mutex_unlock(&m->lock) == 0);
}

void mailbox_init(struct mailbox *m, size_t len_max)
{
    *m = (struct mailbox){.len_max = len_max};
    ASSERT(pthread_mutex_init(&m->lock, NULL) == 0);
}

void mailbox_close(struct mailbox *m)
{
    ASSERT(!m->head);
    ASSERT(pthread_mutex_destroy(&m->lock) == 0);
}

int mailbox_post(struct mailbox *m, struct mail *mail, bool *ret_was_empty)
{
    int err = 0;
    mail->next = NULL;
    lock(m);
    if (m->closed) {
        err = E_CLOSED;
    } else if (m->len >= m->len_max) {
        err = E_LIMIT;
    } else {
        *ret_was_empty = !m->head;
        if (m->head) {
            m->tail->next = mail;
        } else {
            m->head = mail;
        }
        m->tail = mail;
        m->len++;
    }
    unlock(m);
    return err;
}

struct mail *mailbox_drain(struct mailbox *m)
{
    lock(m);
    struct mail *all = m->head;
    m->head = NULL;
    m->tail = NULL;
    m->len = 0;
    unlock(m);
    return all;
}

bool mailbox_is_empty(struct mailbox *m)
{
    lock(m);
    bool is_empty = !m->head;
    unlock(m);
    return is_empty;
}

void mailbox_shut(struct mailbox *m)
{
    lock(m);
    m->closed = true;
    unlock(m);
}
