#include "rpc/links.h"

#include <stdio.h>
#include <string.h>

#include <grpc/grpc_security.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "rpc/absl_locks.h"
#include "rpc/accept_guard.h"
#include "rpc/links_edge.h"
#include "rpc/listen.h"
#include "rpc/peer_channel.h"
#include "rpc/peer_server.h"

#define WATCH_MS 1000
_Static_assert(LINK_IP_MAX == ADDRESS_IP_MAX, "one kind of text");

#define TARGET_ROOM 32 /* scheme, brackets, port */

char *links_target(const char *prefix, const char *host, uint16_t port)
{
    size_t room = strlen(prefix) + strlen(host) + TARGET_ROOM;
    char *target = mem_alloc(room);
    if (strchr(host, ':')) {
        (void)snprintf(target, room, "%s[%s]:%u", prefix, host, port);
    } else {
        (void)snprintf(target, room, "%s%s:%u", prefix, host, port);
    }
    return target;
}

/* The list, on the queue's thread */

static struct listed copy_listed(const struct listed *m)
{
    struct listed copy = *m;
    if (m->host) {
        copy.host = mem_strndup(m->host, strlen(m->host));
    }
    return copy;
}

static void update_slot(struct links *l, unsigned slot, const struct listed *m)
{
    struct peer_channel *c = l->channels[slot];
    if (c && m->host && peer_channel_fits(c, m)) {
        peer_channel_pin(c, &m->pin);
        return;
    }
    if (c) {
        l->channels[slot] = NULL;
        peer_channel_tell_down(c, m->host ? "the list names another member here"
                                          : "the list does not name it any more");
        peer_channel_destroy(c);
    }
    if (m->host) {
        l->channels[slot] = peer_channel_create(l, slot, m);
    }
}

static void update(struct links *l)
{
    links_lock(l);
    l->is_changed = false;
    links_unlock(l);
    peer_server_cut(l->server);
    for (unsigned slot = 0; slot < LINKS_MEMBERS_MAX; slot++) {
        links_lock(l);
        struct listed m = copy_listed(&l->listed[slot]);
        links_unlock(l);
        update_slot(l, slot, &m);
        mem_free(m.host);
    }
}

/* The one mail that is sent again and again: something changed under the lock. */
static void run_wake(struct queue *q, struct queue_mail *take_mail)
{
    (void)q;
    struct links *l = CONTAINER_OF(take_mail, struct links, wake);
    links_lock(l);
    l->is_woken = false;
    bool is_changed = l->is_changed && !l->is_stopping;
    links_unlock(l);
    if (is_changed && l->is_running) {
        update(l);
    }
    for (unsigned slot = 0; slot < LINKS_MEMBERS_MAX; slot++) {
        if (l->channels[slot]) {
            peer_channel_pump(l->channels[slot]);
        }
    }
    life_leave(&l->life);
}

/* Under the lock: whether the caller must post the mail after it. The life is held from here. */
static bool must_wake(struct links *l)
{
    if (l->is_woken || l->is_stopping) {
        return false;
    }
    l->is_woken = true;
    life_enter(&l->life);
    return true;
}

/* Strangers are counted where they are refused and told here, once a second at most. */
static void on_watch(struct queue *q, struct queue_timer *timer)
{
    struct links *l = CONTAINER_OF(timer, struct links, watch);
    struct node_id id = {0};
    unsigned long strangers = peer_pins_stranger(l->pins, &id);
    if (strangers != l->strangers_told) {
        char text[NODE_ID_TEXT + 1];
        node_id_text(&id, text);
        LOG_WARN("links",
                 "event=stranger_refused count=%lu last_id=%s meaning=\"its key is no member's\"",
                 strangers - l->strangers_told, node_id_is_set(&id) ? text : "unreadable");
        l->strangers_told = strangers;
    }
    queue_timer_set(q, timer, WATCH_MS);
}

/* Create and destroy */

int links_create(const struct links_options *options, struct links **ret, struct fail *fail)
{
    (void)fail;
    ASSERT(options->identity != NULL);
    ASSERT(options->bind != NULL);
    ASSERT(options->ops != NULL);
    bool relaxed = absl_locks_relax();
    LOG_DEBUG("links", "event=starting lock_checks_off=%d connections_fit=%d", relaxed,
              accept_guard_limit());
    listen_watch_log();
    grpc_init();
    struct links *l = mem_zalloc(1, sizeof(*l));
    l->identity = options->identity;
    l->bind = mem_strndup(options->bind, strlen(options->bind));
    l->port = options->port;
    l->no_door = options->no_door;
    l->ops = options->ops;
    l->self = options->self;
    l->pins = peer_pins_create(&options->identity->id);
    l->life_number = rand_u64();
    l->wake.run = run_wake;
    l->wake.cost = 1;
    l->watch.fn = on_watch;
    life_init(&l->life);
    ASSERT(pthread_mutex_init(&l->lock, NULL) == 0);
    l->lame = grpc_lame_client_channel_create("nacre", GRPC_STATUS_UNAVAILABLE, "carries no call");
    queue_init(&l->queue, NULL, LINKS_QUEUE);
    queue_init_kicker(&l->queue, l->lame);
    *ret = l;
    return 0;
}

void links_destroy(struct links *l)
{
    if (!l) {
        return;
    }
    links_stop(l, 0);
    links_lock(l);
    l->is_stopping = true; /* never started: mail that waits does nothing */
    links_unlock(l);
    queue_close(&l->queue);
    peer_server_destroy(l->server); /* only when its thread could not be started */
    grpc_channel_destroy(l->lame);
    for (unsigned slot = 0; slot < LINKS_MEMBERS_MAX; slot++) {
        ASSERT(!l->channels[slot]);
        ASSERT(!l->out[slot].first);
        mem_free(l->listed[slot].host);
    }
    life_close(&l->life);
    ASSERT(pthread_mutex_destroy(&l->lock) == 0);
    peer_pins_unref(l->pins);
    mem_free(l->bind);
    mem_free(l);
    grpc_shutdown_blocking();
}

/* Start and stop */

/* A mail that main waits for. */
static void post_step(struct links *l, void (*run)(struct queue *, struct queue_mail *))
{
    struct queue_mail *mail = mem_zalloc(1, sizeof(*mail));
    mail->run = run;
    life_enter(&l->life);
    queue_post(&l->queue, mail);
}

static struct links *end_step(struct queue *q, struct queue_mail *take_mail)
{
    mem_free(take_mail);
    return CONTAINER_OF(q, struct links, queue);
}

static void run_begin(struct queue *q, struct queue_mail *take_mail)
{
    struct links *l = end_step(q, take_mail);
    queue_timer_set(q, &l->watch, WATCH_MS);
    l->is_running = true;
    update(l);
    life_leave(&l->life);
}

struct door_way *links_way(struct links *l)
{
    return peer_server_way(l->server);
}

struct door *links_door(const struct links *l)
{
    return l->server ? peer_server_door(l->server) : NULL;
}

int links_start(struct links *l, struct fail *fail)
{
    ASSERT(!l->is_started);
    int err = peer_server_create(l, &l->server, &l->port, fail);
    if (err) {
        return err;
    }
    err = queue_start(&l->queue);
    if (err) {
        peer_server_shutdown(l->server); /* queue_close, which drains it, comes with destroy */
        return fail_set(fail, err, "cannot start the thread for peers");
    }
    l->is_started = true;
    err = peer_server_start(l->server, fail);
    if (err) {
        return err; /* links_stop ends what there is */
    }
    post_step(l, run_begin);
    LOG_INFO("links", "event=listening port=%u door=%d", l->port, links_door(l) != NULL);
    return 0;
}

static void run_stop(struct queue *q, struct queue_mail *take_mail)
{
    struct links *l = end_step(q, take_mail);
    queue_timer_clear(q, &l->watch);
    for (unsigned slot = 0; slot < LINKS_MEMBERS_MAX; slot++) {
        if (l->channels[slot]) {
            peer_channel_finish(l->channels[slot]);
        }
    }
    peer_server_end_all(l->server);
    life_leave(&l->life);
}

static void run_cancel(struct queue *q, struct queue_mail *take_mail)
{
    struct links *l = end_step(q, take_mail);
    for (unsigned slot = 0; slot < LINKS_MEMBERS_MAX; slot++) {
        peer_channel_destroy(l->channels[slot]);
        l->channels[slot] = NULL;
    }
    peer_server_cancel_all(l->server);
    life_leave(&l->life);
}

/* A mail that shows that everything before it is done. */
static void run_barrier(struct queue *q, struct queue_mail *take_mail)
{
    life_leave(&end_step(q, take_mail)->life);
}

void links_stop(struct links *l, uint32_t grace_ms)
{
    if (!l->is_started) {
        return;
    }
    l->is_started = false;
    links_lock(l);
    l->is_stopping = true;
    links_unlock(l);
    peer_server_shutdown(l->server);
    post_step(l, run_stop);
    bool is_clean = life_wait(&l->life, grace_ms);
    if (!is_clean) {
        LOG_INFO("links", "event=stop_cancels calls=%lu grace_ms=%u", atomic_load(&l->life.held),
                 grace_ms);
    }
    post_step(l, run_cancel);
    ASSERT(life_wait(&l->life, LINKS_STOP_LATE_MS));
    post_step(l, run_barrier); /* a call may have been handed over and not been counted yet */
    ASSERT(life_wait(&l->life, LINKS_STOP_LATE_MS));
    peer_server_destroy(l->server);
    l->server = NULL;
    queue_close(&l->queue);
    LOG_INFO("links", "event=stopped");
}

/* Members and frames */

static bool is_same_address(const struct listed *a, const struct link_member *b)
{
    return a->host && strcmp(a->host, b->host) == 0 && a->port == b->port &&
           a->port_second == b->port_second;
}

/* Under the lock: no frame goes to this slot until a stream is up to who is listed now. */
static struct link_frame *close_out(struct link_out *out)
{
    struct link_frame *frames = out->first;
    *out = (struct link_out){0};
    return frames;
}

/* Under the lock. m NULL: nobody has the slot. Returns frames that go nowhere. */
static struct link_frame *list_slot(struct links *l, unsigned slot, const struct link_member *m)
{
    struct listed *listed = &l->listed[slot];
    struct link_out *out = &l->out[slot];
    bool stays = m && is_same_address(listed, m) &&
                 (node_id_eq(&listed->pin, &m->pin) || node_id_eq(&out->id, &m->pin));
    if (stays) {
        listed->pin = m->pin;
        return NULL;
    }
    mem_free(listed->host);
    *listed = (struct listed){0};
    if (m) {
        listed->host = mem_strndup(m->host, strlen(m->host));
        listed->port = m->port;
        listed->port_second = m->port_second;
        listed->pin = m->pin;
    }
    return close_out(out);
}

void links_set_members(struct links *l, const struct link_member *list, size_t count)
{
    ASSERT(count <= LINKS_MEMBERS_MAX);
    const struct link_member *by_slot[LINKS_MEMBERS_MAX] = {0};
    struct node_id pins[LINKS_MEMBERS_MAX] = {0};
    for (size_t i = 0; i < count; i++) {
        ASSERT(list[i].slot < LINKS_MEMBERS_MAX);
        ASSERT(!by_slot[list[i].slot]);
        by_slot[list[i].slot] = &list[i];
        pins[list[i].slot] = list[i].pin;
    }
    peer_pins_set(l->pins, pins);
    struct link_frame *lost[LINKS_MEMBERS_MAX] = {0};
    links_lock(l);
    for (unsigned slot = 0; slot < LINKS_MEMBERS_MAX; slot++) {
        lost[slot] = list_slot(l, slot, by_slot[slot]);
    }
    l->is_changed = true;
    bool wakes = must_wake(l);
    links_unlock(l);
    for (unsigned slot = 0; slot < LINKS_MEMBERS_MAX; slot++) {
        link_frames_free(lost[slot]);
    }
    if (wakes) {
        queue_post(&l->queue, &l->wake);
    }
}

/* Under the lock: whether the slot takes a frame of len bytes. */
static int admit(const struct links *l, unsigned slot, size_t len)
{
    const struct link_out *out = &l->out[slot];
    if (l->is_stopping || !out->is_open) {
        return E_CLOSED;
    }
    /* An empty frame costs memory, too. */
    return out->bytes + len + sizeof(struct link_frame) > LINK_QUEUE_BYTES ? E_LIMIT : 0;
}

int links_send(struct links *l, unsigned slot, unsigned kind, struct body *take_body)
{
    ASSERT(slot < LINKS_MEMBERS_MAX);
    ASSERT(kind >= 1 && kind <= 255);
    if (body_len(take_body) > LINK_FRAME_MAX) {
        body_close(take_body);
        return E_TOO_LARGE;
    }
    struct link_frame *frame = link_frame_create(kind, take_body);
    struct link_out *out = &l->out[slot];
    bool wakes = false;
    links_lock(l);
    int err = admit(l, slot, frame->len);
    if (err == 0) {
        out->bytes += frame->len + sizeof(*frame);
        if (out->last) {
            out->last->next = frame;
        } else {
            out->first = frame;
        }
        out->last = frame;
        wakes = must_wake(l);
    }
    links_unlock(l);
    if (wakes) {
        queue_post(&l->queue, &l->wake);
    }
    if (err) {
        link_frames_free(frame);
    }
    if (err == E_LIMIT) {
        links_count(&peer_pins_counters(l->pins)->dropped, 1);
    }
    return err;
}

void links_proved(struct links *l, const struct node_id *id, const char *peer)
{
    links_lock(l);
    peer_places_add(&l->places, id, span_str(peer));
    links_unlock(l);
}

size_t links_addresses(struct links *l, char (*ret)[LINK_IP_MAX], size_t max)
{
    struct node_id ids[LINKS_MEMBERS_MAX];
    links_lock(l);
    for (unsigned slot = 0; slot < LINKS_MEMBERS_MAX; slot++) {
        ids[slot] = l->listed[slot].pin;
    }
    size_t count = peer_places_of(&l->places, ids, LINKS_MEMBERS_MAX, ret, max);
    links_unlock(l);
    return count;
}

const struct links_counters *links_counters(const struct links *l)
{
    return peer_pins_counters(l->pins);
}

uint16_t links_port(const struct links *l)
{
    return l->port;
}
