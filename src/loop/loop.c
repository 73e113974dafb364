#include "loop/loop.h"

#include <stdatomic.h>
#include <stdbool.h>

#include <uv.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/mem.h"

#define NEVER UINT64_MAX

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t timer; /* the next turn at due_ms */
    uv_idle_t again;  /* the next turn at once */
    struct mailbox mailbox;
    struct mail *pending; /* drained, not handed out yet */
    struct loop_ops ops;
    void *self;
    uint64_t due_ms; /* what the timer is set to, monotonic; NEVER when it is not */
    bool is_left;    /* the last turn is done */
    bool is_paused;
    bool is_stepped; /* none of libuv is there: loop_step is each turn */
    atomic_bool is_stopping;
};

static void on_timer(uv_timer_t *timer);
static void on_again(uv_idle_t *again);

/* The next turn by time. At once means after a look at libuv's other handles: an idle handle does
 * that, while a timer of 0 that its own callback sets would keep libuv among its timers for good.
 */
static void arm(struct loop *l, uint64_t at_ms, uint64_t now_ms)
{
    if (l->is_stepped) {
        l->due_ms = at_ms;
        return;
    }
    if (at_ms <= now_ms) {
        ASSERT(uv_idle_start(&l->again, on_again) == 0);
        at_ms = NEVER;
    } else {
        ASSERT(uv_idle_stop(&l->again) == 0);
    }
    if (at_ms == l->due_ms) {
        return;
    }
    l->due_ms = at_ms;
    if (at_ms == NEVER) {
        ASSERT(uv_timer_stop(&l->timer) == 0);
        return;
    }
    /* libuv's timers are relative to its own reading of the clock. */
    uv_update_time(&l->uv);
    ASSERT(uv_timer_start(&l->timer, on_timer, at_ms - now_ms, 0) == 0);
}

/* Hands out at most LOOP_BATCH_MAX messages. */
static void hand_out(struct loop *l, struct now now)
{
    for (unsigned i = 0; l->pending && i < LOOP_BATCH_MAX; i++) {
        struct mail *mail = l->pending;
        l->pending = mail->next;
        mail->next = NULL;
        l->ops.on_mail(l->self, mail, now);
    }
}

/* given: NULL, the clock's. */
static void turn_at(struct loop *l, const struct now *given, bool is_timed)
{
    /* What one drain took is finished before the next drain, so at most twice LOOP_MAIL_MAX
     * messages are held. */
    bool is_rest = l->pending;
    if (!is_rest) {
        l->pending = mailbox_drain(&l->mailbox);
    }
    bool is_idle = !l->pending;
    /* Read after the drain: no message of this turn was posted later than its now, however long the
     * thread was kept from running between the two. Read leases are counted from such times. */
    struct now now = given ? *given : clock_now();
    hand_out(l, now);
    /* After the rest of an earlier drain the mailbox was not looked at, and its wake-up may be used
     * up. */
    bool is_more = l->pending || is_rest;
    if (!is_idle || is_timed) {
        uint64_t next_ms = l->ops.on_turn(l->self, now);
        arm(l, is_more ? 0 : next_ms, now.mono_ms);
    }
}

static void turn(struct loop *l, bool is_timed)
{
    if (l->is_left) {
        return; /* uv_stop lets the rest of libuv's round run */
    }
    turn_at(l, NULL, is_timed);
    if (atomic_load(&l->is_stopping)) {
        l->is_left = true;
        uv_stop(&l->uv);
    } else if (l->is_paused) {
        uv_stop(&l->uv);
    }
}

static void on_wake(uv_async_t *wake)
{
    turn(CONTAINER_OF(wake, struct loop, wake), false);
}

static void on_timer(uv_timer_t *timer)
{
    struct loop *l = CONTAINER_OF(timer, struct loop, timer);
    l->due_ms = NEVER;
    turn(l, true);
}

static void on_again(uv_idle_t *again)
{
    turn(CONTAINER_OF(again, struct loop, again), true);
}

int loop_create(const struct loop_ops *ops, void *self, struct loop **ret_loop)
{
    struct loop *l = mem_zalloc(1, sizeof *l);
    if (uv_loop_init(&l->uv) != 0) {
        mem_free(l);
        return E_IO;
    }
    /* The loop has its eventfd already: this and what follows only add to lists. */
    ASSERT(uv_async_init(&l->uv, &l->wake, on_wake) == 0);
    ASSERT(uv_timer_init(&l->uv, &l->timer) == 0);
    ASSERT(uv_idle_init(&l->uv, &l->again) == 0);
    mailbox_init(&l->mailbox, LOOP_MAIL_MAX);
    l->ops = *ops;
    l->self = self;
    l->due_ms = NEVER;
    *ret_loop = l;
    return 0;
}

struct loop *loop_create_stepped(const struct loop_ops *ops, void *self)
{
    struct loop *l = mem_zalloc(1, sizeof *l);
    mailbox_init(&l->mailbox, LOOP_MAIL_MAX);
    l->ops = *ops;
    l->self = self;
    l->is_stepped = true; /* due_ms 0: the first turn needs no message */
    return l;
}

static void drop_all(struct loop *l, struct mail *all, void (*drop)(void *, struct mail *))
{
    while (all) {
        struct mail *mail = all;
        all = mail->next;
        mail->next = NULL;
        ASSERT(drop);
        drop(l->self, mail);
    }
}

void loop_destroy(struct loop *l, void (*drop)(void *self, struct mail *take_mail))
{
    if (!l) {
        return;
    }
    mailbox_shut(&l->mailbox);
    drop_all(l, l->pending, drop);
    drop_all(l, mailbox_drain(&l->mailbox), drop);
    mailbox_close(&l->mailbox);
    if (l->is_stepped) {
        mem_free(l);
        return;
    }
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
    uv_close((uv_handle_t *)&l->again, NULL);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    ASSERT(uv_loop_close(&l->uv) == 0);
    mem_free(l);
}

bool loop_run(struct loop *l)
{
    ASSERT(!l->is_stepped);
    /* The first turn needs no message: it learns the first time at which something is due. */
    l->is_paused = false;
    arm(l, 0, 0);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    return !l->is_left;
}

bool loop_step(struct loop *l, struct now now)
{
    ASSERT(l->is_stepped);
    l->is_paused = false;
    if (!l->is_left) {
        l->due_ms = NEVER;
        turn_at(l, &now, true);
        l->is_left = atomic_load(&l->is_stopping);
    }
    return l->is_paused && !l->is_left;
}

uint64_t loop_due(struct loop *l)
{
    ASSERT(l->is_stepped);
    if (l->is_left) {
        return NEVER;
    }
    return l->pending || !mailbox_is_empty(&l->mailbox) ? 0 : l->due_ms;
}

void loop_pause(struct loop *l)
{
    l->is_paused = true;
}

static void wake(struct loop *l)
{
    if (!l->is_stepped) {
        ASSERT(uv_async_send(&l->wake) == 0);
    }
}

void loop_wake(struct loop *l)
{
    if (l->is_stepped) {
        l->due_ms = 0;
        return;
    }
    ASSERT(uv_idle_start(&l->again, on_again) == 0);
}

void loop_stop(struct loop *l)
{
    mailbox_shut(&l->mailbox);
    atomic_store(&l->is_stopping, true);
    wake(l);
}

int loop_post(struct loop *l, struct mail *take_mail)
{
    bool was_empty = false;
    int err = mailbox_post(&l->mailbox, take_mail, &was_empty);
    if (err) {
        return err;
    }
    if (was_empty) {
        wake(l);
    }
    return 0;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
    return l->is_stepped ? NULL : &l->uv;
}
