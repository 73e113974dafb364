#include "rpc/queue.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "conn/conn.h"
#include "rpc/edge.h"

static void on_kick(struct tag *tag, bool ok);
static void retry_owed(struct queue *q, struct queue_timer *timer);

void queue_init(struct queue *q, struct rpc *r, unsigned index)
{
    *q = (struct queue){.rpc = r, .index = index};
    q->cq = grpc_completion_queue_create_for_next(NULL);
    q->on_kick.fn = on_kick;
    q->owed_timer.fn = retry_owed;
    mailbox_init(&q->mailbox, SIZE_MAX);
}

void queue_init_kicker(struct queue *q, grpc_channel *lame)
{
    grpc_slice method = grpc_slice_from_static_string("/kick");
    q->kicker = grpc_channel_create_call(lame, NULL, GRPC_PROPAGATE_DEFAULTS, q->cq, method, NULL,
                                         gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    ASSERT(q->kicker != NULL);
}

static void kick(struct queue *q)
{
    grpc_call_error err = grpc_call_start_batch(q->kicker, NULL, 0, &q->on_kick, NULL);
    ASSERT(err == GRPC_CALL_OK);
}

void queue_post(struct queue *q, struct queue_mail *take_mail)
{
    bool was_empty = false;
    int err = mailbox_post(&q->mailbox, &take_mail->mail, &was_empty);
    ASSERT(err == 0);
    if (was_empty) {
        kick(q);
    }
}

static void append_todo(struct queue *q, struct mail *all)
{
    if (!all) {
        return;
    }
    if (q->todo) {
        q->todo_last->next = all;
    } else {
        q->todo = all;
    }
    while (all->next) {
        all = all->next;
    }
    q->todo_last = all;
}

/* One round of mail. What is left waits behind the network's events that are already queued. */
static void on_kick(struct tag *tag, bool ok)
{
    (void)ok;
    struct queue *q = CONTAINER_OF(tag, struct queue, on_kick);
    append_todo(q, mailbox_drain(&q->mailbox));
    unsigned cost = 0;
    while (q->todo && cost < QUEUE_ROUND) {
        struct queue_mail *mail = CONTAINER_OF(q->todo, struct queue_mail, mail);
        q->todo = q->todo->next;
        mail->mail.next = NULL;
        cost += mail->cost;
        mail->run(q, mail);
    }
    if (q->todo) {
        kick(q);
    }
}

void queue_timer_set(struct queue *q, struct queue_timer *timer, uint32_t ms)
{
    deadline_set(&q->deadlines, &timer->due, clock_mono_ms() + ms);
}

void queue_timer_clear(struct queue *q, struct queue_timer *timer)
{
    deadline_clear(&q->deadlines, &timer->due);
}

static void run_due(struct queue *q)
{
    if (deadlines_next(&q->deadlines) == DEADLINE_NONE) {
        return;
    }
    uint64_t now_ms = clock_mono_ms();
    for (;;) {
        struct deadline *due = deadlines_pop(&q->deadlines, now_ms);
        if (!due) {
            return;
        }
        struct queue_timer *timer = CONTAINER_OF(due, struct queue_timer, due);
        timer->fn(q, timer);
    }
}

/* Without timers the thread sleeps until something happens: an idle node does not wake. */
static gpr_timespec next_wake(const struct queue *q)
{
    uint64_t at_ms = deadlines_next(&q->deadlines);
    if (at_ms == DEADLINE_NONE) {
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    }
    return (gpr_timespec){.tv_sec = (int64_t)(at_ms / 1000),
                          .tv_nsec = (int32_t)(at_ms % 1000) * 1000000,
                          .clock_type = GPR_CLOCK_MONOTONIC};
}

static void run(struct queue *q)
{
    for (;;) {
        grpc_event event = grpc_completion_queue_next(q->cq, next_wake(q), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN) {
            return;
        }
        if (event.type == GRPC_OP_COMPLETE) {
            struct tag *tag = event.tag;
            tag->fn(tag, event.success != 0);
        }
        run_due(q);
    }
}

static void *queue_main(void *arg)
{
    struct queue *q = arg;
    char name[16];
    snprintf(name, sizeof(name), "rpc-%u", q->index);
    thread_become(THREAD_RPC, name);
    run(q);
    return NULL;
}

int queue_start(struct queue *q)
{
    int err = thread_start(&q->thread, queue_main, q);
    q->has_thread = err == 0;
    return err;
}

void queue_close(struct queue *q)
{
    if (!q->cq) {
        return;
    }
    if (q->kicker) {
        grpc_call_unref(q->kicker);
        q->kicker = NULL;
    }
    grpc_completion_queue_shutdown(q->cq);
    if (q->has_thread) {
        ASSERT(pthread_join(q->thread, NULL) == 0);
        q->has_thread = false;
    } else {
        run(q);
    }
    grpc_completion_queue_destroy(q->cq);
    q->cq = NULL;
    ASSERT(!q->todo);
    ASSERT(!q->streams);
    ASSERT(!q->owed); /* each holds the edge's life */
    deadlines_close(&q->deadlines);
    mailbox_close(&q->mailbox);
}

static int post_to_core(const struct queue *q, struct core_mail *mail)
{
    const struct core_port *core = &q->rpc->options.core;
    return core->post(core->self, mail);
}

static void owe(struct queue *q, struct core_mail *mail)
{
    life_enter(&q->rpc->life);
    mail->mail.next = NULL;
    if (q->owed) {
        q->owed_last->mail.next = &mail->mail;
    } else {
        q->owed = mail;
        queue_timer_set(q, &q->owed_timer, QUEUE_RETRY_MS);
    }
    q->owed_last = mail;
}

static void retry_owed(struct queue *q, struct queue_timer *timer)
{
    (void)timer;
    while (q->owed) {
        struct core_mail *mail = q->owed;
        struct mail *next = mail->mail.next;
        int err = post_to_core(q, mail);
        if (err == E_LIMIT) {
            mail->mail.next = next;
            queue_timer_set(q, &q->owed_timer, QUEUE_RETRY_MS);
            return;
        }
        q->owed = next ? CONTAINER_OF(next, struct core_mail, mail) : NULL;
        if (err) {
            conn_mail_free(mail);
        }
        life_leave(&q->rpc->life);
    }
}

void queue_tell_core(struct queue *q, struct core_mail *take_mail)
{
    if (q->owed) {
        owe(q, take_mail);
        return;
    }
    int err = post_to_core(q, take_mail);
    if (err == E_LIMIT) {
        LOG_WARN("rpc", "event=core_full queue=%u meaning=\"a closed connection is told again\"",
                 q->index);
        owe(q, take_mail);
        return;
    }
    if (err) {
        conn_mail_free(take_mail); /* the core is over: nobody is left to be told */
    }
}
