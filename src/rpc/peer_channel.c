#include "rpc/peer_channel.h"

#include <stdio.h>
#include <string.h>

#include <grpc/support/alloc.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/peer_dial.h"

#define WHY_MAX 1024
#define PORT_WHY_MAX 512 /* what one port has to do with it */
#define STEADY_MS 2000   /* a stream that lived so long begins again with the shortest pause */
#define LOG_EVERY_MS 10000
#define DOUBTS_MAX 25 /* short pauses in which the second port of a node that starts may open */

enum channel_state {
    CHANNEL_WAITING,
    CHANNEL_DIALING,
    CHANNEL_UP,
    CHANNEL_FINISHING,
    CHANNEL_STATES
};

/* The allowed moves. */
static const bool MOVES[CHANNEL_STATES][CHANNEL_STATES] = {
    [CHANNEL_WAITING] = {[CHANNEL_DIALING] = true, [CHANNEL_FINISHING] = true},
    [CHANNEL_DIALING] = {[CHANNEL_WAITING] = true, [CHANNEL_UP] = true, [CHANNEL_FINISHING] = true},
    [CHANNEL_UP] = {[CHANNEL_WAITING] = true, [CHANNEL_FINISHING] = true},
};

struct peer_channel {
    struct links *links;
    unsigned slot;
    enum channel_state state;
    char *host;
    uint16_t ports[2]; /* the second is 0: none */
    struct node_id pin;
    struct peer_dial *dial;   /* DIALING, UP, perhaps FINISHING */
    struct queue_timer timer; /* WAITING: the next dial; DIALING: its end */
    unsigned port;            /* index of the one that is dialled, or was last */
    unsigned tried;           /* ports in this round */
    bool saw_self;            /* in this round, our key at the first port */
    unsigned doubts;          /* rounds in which a node answered that may be the wrong one */
    bool saw_no_peer;         /* in this round, something else than TLS at the second port */
    uint32_t pause_ms;
    uint64_t due_ms; /* WAITING: when the pause is over */
    uint64_t up_ms;
    unsigned long strangers;   /* refused on our side before the last dial */
    struct node_id learned;    /* the candidate that the owner was told of */
    struct node_id id;         /* UP: the other end */
    struct link_frame *frames; /* taken from the out, to be sent next */
    size_t sending_bytes;      /* in flight, as link_out counts them */
    char why[2][PORT_WHY_MAX]; /* of this round, by port */
    char logged_why[WHY_MAX];
    uint64_t logged_ms;
};

static void on_timer(struct queue *q, struct queue_timer *timer);
static void on_accepted(void *self, const struct node_id *id);
static void on_sent(void *self);
static void on_ended(void *self, const struct peer_dial *d);

static const struct peer_dial_ops dial_ops = {on_accepted, on_sent, on_ended};

static void move(struct peer_channel *c, enum channel_state to)
{
    ASSERT(MOVES[c->state][to]);
    c->state = to;
}

static struct peer_address address_of(const struct peer_channel *c)
{
    return (struct peer_address){.host = c->host,
                                 .port = c->ports[c->port],
                                 .port_other = c->ports[!c->port],
                                 .pin = c->pin};
}

/* Waiting and dialling */

static bool may_learn(const struct peer_channel *c)
{
    return !c->ports[1] || c->port == 1 || c->saw_no_peer;
}

static void start_dial(struct peer_channel *c)
{
    struct node_id ignored = {0};
    struct peer_address to = address_of(c);
    move(c, CHANNEL_DIALING);
    c->strangers = peer_pins_stranger(c->links->pins, &ignored);
    c->dial = peer_dial_create(c->links, c->slot, &to, may_learn(c), &dial_ops, c);
    queue_timer_set(&c->links->queue, &c->timer, LINK_DIAL_MS);
}

/* The pause of an empty slot is over early when a stranger was refused here: perhaps it is the one
 * that this slot is for, and has just come up. So this looks every LINK_BACKOFF_MS. */
static void set_wait(struct peer_channel *c)
{
    uint64_t now_ms = clock_mono_ms();
    uint64_t left_ms = c->due_ms > now_ms ? c->due_ms - now_ms : 0;
    if (!node_id_is_set(&c->pin) && left_ms > LINK_BACKOFF_MS) {
        left_ms = LINK_BACKOFF_MS;
    }
    queue_timer_set(&c->links->queue, &c->timer, (uint32_t)left_ms);
}

/* A new round after the pause. */
static void wait_round(struct peer_channel *c)
{
    c->due_ms = clock_mono_ms() + c->pause_ms;
    c->pause_ms = c->pause_ms * 2 < LINK_BACKOFF_MAX_MS ? c->pause_ms * 2 : LINK_BACKOFF_MAX_MS;
    c->tried = 0;
    c->why[0][0] = c->why[1][0] = '\0';
    c->saw_self = false;
    c->saw_no_peer = false;
    if (c->ports[1] && !node_id_is_set(&c->pin)) {
        c->port = 1;
    }
    set_wait(c);
}

static void on_timer(struct queue *q, struct queue_timer *timer)
{
    (void)q;
    struct peer_channel *c = CONTAINER_OF(timer, struct peer_channel, timer);
    if (c->state == CHANNEL_DIALING) {
        peer_dial_expire(c->dial);
        return;
    }
    ASSERT(c->state == CHANNEL_WAITING);
    struct node_id ignored = {0};
    bool is_due = clock_mono_ms() >= c->due_ms;
    if (is_due || peer_pins_stranger(c->links->pins, &ignored) != c->strangers) {
        start_dial(c);
        return;
    }
    set_wait(c);
}

static void tell_learned(struct peer_channel *c, const struct node_id *id)
{
    if (!node_id_eq(&c->learned, id)) {
        c->learned = *id;
        c->links->ops->on_learned(c->links->self, c->slot, id);
    }
}

/* Whether what this round saw says that the listed address is ours. Our key at the second port says
 * so, and at the only port; at the first port of two only when may_learn would, too. */
static bool note_self(struct peer_channel *c, const struct peer_dial *d, bool is_self)
{
    if (is_self && (!c->ports[1] || c->port == 1)) {
        return true;
    }
    c->saw_self |= is_self;
    c->saw_no_peer |= c->port == 1 && peer_dial_is_no_peer(d);
    return c->saw_self && c->saw_no_peer;
}

/* Keep why this port did not do. */
static void note_failure(struct peer_channel *c, const struct peer_dial *d)
{
    struct peer_address to = address_of(c);
    peer_dial_explain(d, &to, c->why[c->port], PORT_WHY_MAX);
}

/* What a round found is told when it is something else than last time, or a while ago. In the order
 * of the ports: rounds begin with one and with the other. */
static void log_round(struct peer_channel *c)
{
    uint64_t now_ms = clock_mono_ms();
    char why[WHY_MAX];
    const char *between = c->why[0][0] && c->why[1][0] ? "; " : "";
    (void)snprintf(why, sizeof(why), "%.*s%s%.*s", PORT_WHY_MAX - 2, c->why[0], between,
                   PORT_WHY_MAX - 2, c->why[1]);
    if (strcmp(why, c->logged_why) == 0 && now_ms - c->logged_ms < LOG_EVERY_MS) {
        return;
    }
    memcpy(c->logged_why, why, sizeof(why));
    c->logged_ms = now_ms;
    LOG_INFO("links", "event=no_link slot=%u why=\"%s\"", c->slot, why);
}

/* A dial did not make it. The other port, or a pause. */
static void fail_dial(struct peer_channel *c, const struct peer_dial *d)
{
    struct node_id id = {0};
    enum peer_verdict verdict = peer_dial_verdict(d, &id);
    note_failure(c, d);
    bool is_ours = note_self(c, d, verdict == PEER_SELF);
    move(c, CHANNEL_WAITING);
    c->tried++;
    if (is_ours) {
        c->links->ops->on_self(c->links->self, c->slot);
    }
    bool is_learned = verdict == PEER_CANDIDATE || verdict == PEER_TAKEN;
    if (is_learned) {
        tell_learned(c, &id);
    }
    bool is_found = verdict == PEER_OK || is_learned || is_ours;
    if (c->ports[1] && c->tried < 2 && !is_found) {
        c->port = !c->port;
        start_dial(c);
        return;
    }
    log_round(c);
    bool is_doubtful = verdict == PEER_DOUBTFUL || (c->saw_self && !is_ours);
    if (is_doubtful && c->doubts < DOUBTS_MAX) {
        c->doubts++;
        c->pause_ms = LINK_BACKOFF_MS;
    }
    wait_round(c);
}

struct peer_channel *peer_channel_create(struct links *l, unsigned slot, const struct listed *m)
{
    struct peer_channel *c = mem_zalloc(1, sizeof(*c));
    c->links = l;
    c->slot = slot;
    c->host = mem_strndup(m->host, strlen(m->host));
    c->ports[0] = m->port;
    c->ports[1] = m->port_second;
    c->pin = m->pin;
    c->timer.fn = on_timer;
    c->pause_ms = LINK_BACKOFF_MS;
    c->port = m->port_second && !node_id_is_set(&m->pin) ? 1 : 0;
    start_dial(c);
    return c;
}

void peer_channel_pin(struct peer_channel *c, const struct node_id *pin)
{
    c->pin = *pin;
}

void peer_channel_hear(struct peer_channel *c, const struct node_id *id)
{
    if (c->state == CHANNEL_WAITING && node_id_eq(&c->pin, id)) {
        c->pause_ms = LINK_BACKOFF_MS;
        start_dial(c);
    }
}

/* Up and down */

static struct link_out *out_of(const struct peer_channel *c)
{
    return &c->links->out[c->slot];
}

/* Frames may go to this stream, if it leads to who is listed now. If not, the list has just changed
 * and the queue's thread is about to be told. */
static void open_out(struct peer_channel *c)
{
    struct links *l = c->links;
    links_lock(l);
    const struct listed *m = &l->listed[c->slot];
    bool is_listed = m->host && strcmp(m->host, c->host) == 0 && m->port == c->ports[0] &&
                     m->port_second == c->ports[1] &&
                     (!node_id_is_set(&m->pin) || node_id_eq(&m->pin, &c->id));
    if (is_listed && !l->is_stopping) {
        *out_of(c) = (struct link_out){.is_open = true, .id = c->id};
    }
    links_unlock(l);
}

static bool is_out_open(const struct peer_channel *c)
{
    links_lock(c->links);
    bool is_open = out_of(c)->is_open;
    links_unlock(c->links);
    return is_open;
}

bool peer_channel_fits(const struct peer_channel *c, const struct listed *m)
{
    if (strcmp(c->host, m->host) != 0 || c->ports[0] != m->port || c->ports[1] != m->port_second) {
        return false;
    }
    if (c->state == CHANNEL_UP && !is_out_open(c)) {
        return false; /* the list named somebody else in between: the owner expects a new stream */
    }
    if (node_id_is_set(&c->pin)) {
        return node_id_eq(&c->pin, &m->pin);
    }
    return c->state != CHANNEL_UP || !node_id_is_set(&m->pin) || node_id_eq(&c->id, &m->pin);
}

/* What was queued goes nowhere. */
static void shut_out(struct peer_channel *c)
{
    struct links *l = c->links;
    links_lock(l);
    struct link_frame *lost = out_of(c)->first;
    *out_of(c) = (struct link_out){0};
    links_unlock(l);
    link_frames_free(lost);
    link_frames_free(c->frames);
    c->frames = NULL;
}

void peer_channel_destroy(struct peer_channel *c)
{
    if (!c) {
        return;
    }
    queue_timer_clear(&c->links->queue, &c->timer);
    shut_out(c);
    peer_dial_drop(c->dial);
    mem_free(c->host);
    mem_free(c);
}

/* The stream has ended: by the other side, the network, or because the member is not listed. */
static void go_down(struct peer_channel *c, const char *why)
{
    struct links *l = c->links;
    uint64_t lived_ms = clock_mono_ms() - c->up_ms;
    shut_out(c);
    LOG_INFO("links", "event=link_down slot=%u at=%s:%u lived_ms=%llu why=\"%s\"", c->slot, c->host,
             c->ports[c->port], (unsigned long long)lived_ms, why);
    links_count(&peer_pins_counters(l->pins)->disconnects, 1);
    if (lived_ms >= STEADY_MS) {
        c->pause_ms = LINK_BACKOFF_MS;
    }
    l->ops->on_down(l->self, c->slot, why);
}

void peer_channel_tell_down(struct peer_channel *c, const char *why)
{
    if (c->state == CHANNEL_UP) {
        go_down(c, why);
    }
}

static void on_accepted(void *self, const struct node_id *id)
{
    struct peer_channel *c = self;
    struct links *l = c->links;
    if (c->state != CHANNEL_DIALING) {
        return;
    }
    queue_timer_clear(&l->queue, &c->timer);
    move(c, CHANNEL_UP);
    c->id = *id;
    c->up_ms = clock_mono_ms();
    c->logged_why[0] = '\0';
    char text[NODE_ID_TEXT + 1];
    node_id_text(id, text);
    LOG_INFO("links", "event=link_up slot=%u at=%s:%u id=%.16s", c->slot, c->host,
             c->ports[c->port], text);
    links_count(&peer_pins_counters(l->pins)->connects, 1);
    if (!node_id_is_set(&c->pin)) {
        tell_learned(c, id);
    }
    open_out(c);
    char *at = peer_dial_address(c->dial);
    links_proved(l, id, at);
    gpr_free(at);
    l->ops->on_up(l->self, c->slot, id, peer_dial_number(c->dial));
}

static void on_ended(void *self, const struct peer_dial *d)
{
    struct peer_channel *c = self;
    c->dial = NULL;
    c->sending_bytes = 0;
    queue_timer_clear(&c->links->queue, &c->timer);
    if (c->state == CHANNEL_DIALING) {
        fail_dial(c, d);
        return;
    }
    if (c->state == CHANNEL_UP) {
        char why[WHY_MAX];
        (void)snprintf(why, sizeof(why), "%s:%u: %.*s", c->host, c->ports[c->port],
                       SPAN_ARG(peer_dial_reason(d)));
        go_down(c, why);
        move(c, CHANNEL_WAITING);
        wait_round(c);
    }
}

/* Sending */

/* What goes into the next message; NULL: nothing waits. */
static grpc_byte_buffer *take_message(struct peer_channel *c)
{
    struct links *l = c->links;
    if (!c->frames) {
        links_lock(l);
        c->frames = out_of(c)->first;
        out_of(c)->first = NULL;
        out_of(c)->last = NULL;
        links_unlock(l);
    }
    if (!c->frames) {
        return NULL;
    }
    size_t frames = 0;
    size_t bytes = 0;
    grpc_byte_buffer *message = link_write_frames(&c->frames, &frames, &bytes);
    c->sending_bytes = bytes + frames * sizeof(struct link_frame);
    links_count(&peer_pins_counters(l->pins)->frames_sent, frames);
    links_count(&peer_pins_counters(l->pins)->bytes_sent, bytes);
    return message;
}

void peer_channel_pump(struct peer_channel *c)
{
    bool is_open = c->state == CHANNEL_UP || c->state == CHANNEL_FINISHING;
    if (!is_open || !c->dial || !peer_dial_is_idle(c->dial)) {
        return;
    }
    grpc_byte_buffer *message = take_message(c);
    if (message) {
        peer_dial_send(c->dial, message);
    } else if (c->state == CHANNEL_FINISHING) {
        peer_dial_close(c->dial);
    }
}

static void on_sent(void *self)
{
    struct peer_channel *c = self;
    struct links *l = c->links;
    links_lock(l);
    if (out_of(c)->is_open) {
        out_of(c)->bytes -= c->sending_bytes;
    }
    links_unlock(l);
    c->sending_bytes = 0;
    peer_channel_pump(c);
}

void peer_channel_finish(struct peer_channel *c)
{
    bool was_up = c->state == CHANNEL_UP;
    queue_timer_clear(&c->links->queue, &c->timer);
    move(c, CHANNEL_FINISHING);
    if (!was_up) {
        peer_dial_drop(c->dial);
        c->dial = NULL;
    }
    peer_channel_pump(c);
}
