#include "membership_bed_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#define DIAL_MS 200
#define LATENCY_MS 20
#define SAVE_MS 30
#define CHANGE_MS 60

uint64_t bed_random(struct bed *b, uint64_t n)
{
    b->seed ^= b->seed << 13;
    b->seed ^= b->seed >> 7;
    b->seed ^= b->seed << 17;
    return b->seed % n;
}

static void fill_random(struct bed *b, uint8_t *dst, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        dst[i] = (uint8_t)bed_random(b, 256);
    }
}

static unsigned index_of(const struct bed *b, const struct bed_node *n)
{
    return (unsigned)(n - b->node);
}

/* Mail */

static struct bed_mail *post(struct bed *b, unsigned to, enum bed_mail_kind kind, uint64_t at_ms)
{
    for (size_t i = 0; i < BED_MAIL; i++) {
        if (!b->mail[i].is_used) {
            b->mail_top = i < b->mail_top ? b->mail_top : i + 1;
            b->mail[i] = (struct bed_mail){.kind = kind,
                                           .at_ms = at_ms,
                                           .order = b->mail_order++,
                                           .to = to,
                                           .life = b->node[to].lives,
                                           .is_used = true};
            return &b->mail[i];
        }
    }
    fail_msg("mail is full");
    return NULL;
}

/* Links' reports to a node keep their order. */
static struct bed_mail *report(struct bed *b, unsigned to, enum bed_mail_kind kind)
{
    uint64_t at = b->now.mono_ms + bed_random(b, LATENCY_MS);
    at = at < b->inbox_ms[to] ? b->inbox_ms[to] : at;
    b->inbox_ms[to] = at;
    return post(b, to, kind, at);
}

static void forget(struct bed_mail *mail)
{
    buf_unref(mail->bytes);
    mem_free(mail->pins);
    mem_free(mail->config);
    *mail = (struct bed_mail){0};
}

static void drop_mail(struct bed *b, unsigned from, unsigned to)
{
    for (size_t i = 0; i < b->mail_top; i++) {
        struct bed_mail *mail = &b->mail[i];
        bool is_theirs = mail->is_used && mail->kind == BED_HELLO && mail->to == to &&
                         node_id_eq(&mail->id, &b->node[from].id);
        if (is_theirs && bed_random(b, 2) == 0) {
            forget(mail);
        }
    }
}

/* What membership asks for. self is the node; the bed is found through a static, one test at a
 * time. */
static struct bed *bed;

static void link_down(unsigned i, unsigned slot)
{
    struct bed_link *l = &bed->node[i].link[slot];
    if (l->is_up) {
        drop_mail(bed, i, l->peer);
    }
    l->is_up = false;
    l->dial_ms = bed->now.mono_ms + DIAL_MS + bed_random(bed, DIAL_MS);
    report(bed, i, BED_DOWN)->slot = slot;
}

static void on_set_links(void *self, const struct membership_link *list, size_t count)
{
    struct bed_node *n = self;
    unsigned i = index_of(bed, n);
    for (unsigned slot = 0; slot < MEMBERS_MAX; slot++) {
        const struct membership_link *wanted = NULL;
        for (size_t k = 0; k < count; k++) {
            wanted = list[k].slot == slot ? &list[k] : wanted;
        }
        struct bed_link *l = &n->link[slot];
        bool is_same = l->is_used && wanted && strcmp(l->host, wanted->host) == 0 &&
                       node_id_eq(&l->pin, &wanted->pin);
        if (is_same) {
            continue;
        }
        if (l->is_used && l->is_up) {
            drop_mail(bed, i, l->peer);
        }
        *l = (struct bed_link){0};
        if (wanted) {
            l->is_used = true;
            l->pin = wanted->pin;
            l->dial_ms = bed->now.mono_ms;
            (void)snprintf(l->host, sizeof(l->host), "%s", wanted->host);
        }
    }
    /* Nobody is pinned twice: rpc/links would not know which it is. */
    for (size_t k = 0; k < count; k++) {
        for (size_t j = 0; j < k; j++) {
            assert_false(node_id_is_set(&list[k].pin) && node_id_eq(&list[k].pin, &list[j].pin));
        }
    }
}

static void on_send(void *self, unsigned slot, struct buf *take_hello)
{
    struct bed_node *n = self;
    unsigned i = index_of(bed, n);
    struct bed_link *l = &n->link[slot];
    if (!l->is_used || !l->is_up) {
        buf_unref(take_hello);
        return;
    }
    uint64_t at = bed->now.mono_ms + 1 + bed_random(bed, LATENCY_MS);
    at = at < bed->last_ms[i][l->peer] ? bed->last_ms[i][l->peer] : at;
    bed->last_ms[i][l->peer] = at;
    struct bed_mail *mail = post(bed, l->peer, BED_HELLO, at);
    mail->id = n->id;
    mail->bytes = take_hello;
}

static void on_save(void *self, struct buf *take_text, uint64_t version)
{
    struct bed_node *n = self;
    struct fail fail = {0};
    struct bed_mail *mail =
        post(bed, index_of(bed, n), BED_SAVED, bed->now.mono_ms + 1 + bed_random(bed, SAVE_MS));
    mail->version = version;
    mail->pins = mem_zalloc(1, sizeof(*mail->pins));
    if (pins_decode("peers", buf_span(take_text), mail->pins, &fail) != 0) {
        fail_msg("pins: %s", fail.text);
    }
    buf_unref(take_text);
}

static void record(const struct bed_node *n, const struct membership_first *list, size_t count)
{
    struct bed_form *f = NULL;
    for (size_t i = 0; i < bed->form_count && !f; i++) {
        f = &bed->form[i];
        bool is_same = f->count == count;
        for (size_t k = 0; is_same && k < count; k++) {
            is_same = f->number[k] == list[k].number;
        }
        f = is_same ? f : NULL;
    }
    if (!f) {
        assert_true(bed->form_count < BED_FORMS);
        f = &bed->form[bed->form_count++];
        f->count = count;
        for (size_t k = 0; k < count; k++) {
            f->number[k] = list[k].number;
            assert_true(k == 0 || list[k - 1].number < list[k].number);
        }
    }
    for (unsigned i = 0; i < f->made; i++) {
        if (node_id_eq(&f->by[i], &n->id)) {
            return;
        }
    }
    f->by[f->made++] = n->id;
}

static void on_form(void *self, const struct membership_first *list, size_t count)
{
    struct bed_node *n = self;
    n->forms++;
    assert_int_equal(n->pins.stage, PINS_FORMING); /* on disk before it is done */
    record(n, list, count);
    struct bed_mail *mail =
        post(bed, index_of(bed, n), BED_FORMED, bed->now.mono_ms + 1 + bed_random(bed, SAVE_MS));
    mail->config = mem_zalloc(1, sizeof(*mail->config));
    mail->config->version = 1;
    mail->config->count = count;
    for (size_t i = 0; i < count; i++) {
        mail->config->server[i].number = list[i].number;
        mail->config->server[i].is_voter = true;
        memcpy(mail->config->server[i].address, list[i].address, sizeof(list[i].address));
    }
}

static void on_join(void *self)
{
    struct bed_node *n = self;
    assert_int_equal(n->pins.stage, PINS_JOINING);
    n->joins++;
    n->may_take = true;
}

static void on_change(void *self, const struct membership_change *change)
{
    struct bed_node *n = self;
    assert_true(n->change_ms == 0); /* one at a time */
    n->change = *change;
    n->change_ms = bed->now.mono_ms + CHANGE_MS;
    n->changes++;
}

static void on_say(void *self, enum membership_weight weight, const char *text)
{
    struct bed_node *n = self;
    (void)weight;
    (void)snprintf(n->said[n->said_count++ % 8], FAIL_TEXT_MAX, "%s", text);
}

static void on_refuse(void *self, const struct fail *why)
{
    struct bed_node *n = self;
    n->refusals++;
    n->refusal = *why;
}

static const struct membership_ops OPS = {.set_links = on_set_links,
                                          .send = on_send,
                                          .save = on_save,
                                          .form = on_form,
                                          .join = on_join,
                                          .change = on_change,
                                          .say = on_say,
                                          .refuse = on_refuse};

/* Nodes */

void bed_init(struct bed *b, uint64_t seed)
{
    *b = (struct bed){.seed = seed * 0x9e3779b97f4a7c15u + 1, .now = {.mono_ms = 1000000}};
    b->mail = mem_zalloc(BED_MAIL, sizeof(*b->mail));
    bed = b;
}

void bed_close(struct bed *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        membership_destroy(b->node[i].m);
    }
    for (size_t i = 0; i < b->mail_top; i++) {
        if (b->mail[i].is_used) {
            forget(&b->mail[i]);
        }
    }
    mem_free(b->mail);
}

unsigned bed_add(struct bed *b, const char *host, const char *list)
{
    struct bed_node *n = &b->node[b->count];
    assert_true(b->count < BED_NODES);
    (void)snprintf(n->host, sizeof(n->host), "%s", host);
    (void)snprintf(n->list, sizeof(n->list), "%s", list);
    fill_random(b, n->id.bytes, sizeof(n->id.bytes));
    return (unsigned)b->count++;
}

void bed_cluster(struct bed *b, unsigned count)
{
    char list[256] = "";
    for (unsigned i = 0; i < count; i++) {
        size_t len = strlen(list);
        (void)snprintf(list + len, sizeof(list) - len, "n%u ", i);
    }
    for (unsigned i = 0; i < count; i++) {
        char host[16];
        (void)snprintf(host, sizeof(host), "n%u", i);
        (void)bed_add(b, host, list);
    }
}

static void give_list(struct bed *b, struct bed_node *n)
{
    struct member_list list;
    struct fail fail = {0};
    assert_int_equal(members_parse("list", span_str(n->list), 8848, &list, &fail), 0);
    membership_set_list(n->m, &list, b->now);
}

void bed_start(struct bed *b, unsigned i)
{
    struct bed_node *n = &b->node[i];
    uint8_t seed[32];
    struct fail fail = {0};
    assert_false(n->is_alive);
    fill_random(b, seed, sizeof(seed));
    n->is_alive = true;
    n->lives++;
    if (n->is_stranger) {
        return;
    }
    n->options.id = &n->id;
    n->options.pins = &n->pins;
    n->options.pins_name = "DIR/peers";
    n->options.host = n->host;
    n->options.port = 8848;
    n->options.release = "0.1.0";
    n->options.has_log = n->has_log;
    n->options.seed = seed;
    assert_int_equal(membership_create(&n->options, &OPS, n, b->now, &n->m, &fail), 0);
    give_list(b, n);
    if (n->has_log && n->config.count > 0) {
        bed_tell_servers(b, n);
    }
}

void bed_start_all(struct bed *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        bed_start(b, i);
    }
}

void bed_kill(struct bed *b, unsigned i)
{
    struct bed_node *n = &b->node[i];
    if (!n->is_alive) {
        return;
    }
    n->is_alive = false;
    n->may_take = false;
    n->change_ms = 0;
    n->is_leader_told = false;
    n->leader_told = 0;
    membership_destroy(n->m);
    n->m = NULL;
    memset(n->link, 0, sizeof(n->link));
    for (size_t k = 0; k < b->mail_top; k++) {
        struct bed_mail *mail = &b->mail[k];
        if (mail->is_used && mail->to == i) {
            forget(mail);
        }
    }
    for (unsigned j = 0; j < b->count; j++) {
        drop_mail(b, i, j);
    }
}

void bed_wipe(struct bed *b, unsigned i)
{
    struct bed_node *n = &b->node[i];
    assert_false(n->is_alive);
    fill_random(b, n->id.bytes, sizeof(n->id.bytes));
    n->pins = (struct pins){0};
    n->has_log = false;
    n->config = (struct bed_config){0};
    n->forms = n->joins = n->changes = n->refusals = 0;
}

void bed_copy(struct bed *b, unsigned i, unsigned j)
{
    const struct bed_node *from = &b->node[i];
    struct bed_node *to = &b->node[j];
    assert_false(to->is_alive);
    to->id = from->id;
    to->pins = from->pins;
    to->has_log = from->has_log;
    to->config = from->config;
}

void bed_set_list(struct bed *b, unsigned i, const char *list)
{
    struct bed_node *n = &b->node[i];
    (void)snprintf(n->list, sizeof(n->list), "%s", list);
    if (n->is_alive && n->m) {
        give_list(b, n);
    }
}

void bed_cut(struct bed *b, unsigned i, unsigned j, bool is_cut)
{
    b->is_cut[i][j] = is_cut;
    b->is_cut[j][i] = is_cut;
}

void bed_cut_off(struct bed *b, unsigned i, bool is_cut)
{
    for (unsigned j = 0; j < b->count; j++) {
        bed_cut(b, i, j, is_cut);
    }
}

/* Links */

static bool is_at(const struct bed_node *n, const char *host)
{
    return strcmp(n->host, host) == 0 || strcmp(n->also, host) == 0;
}

static struct bed_node *at_address(struct bed *b, const char *host)
{
    for (unsigned i = 0; i < b->count; i++) {
        if (b->node[i].is_alive && is_at(&b->node[i], host)) {
            return &b->node[i];
        }
    }
    return NULL;
}

static bool lets_in(const struct bed_node *n, const struct node_id *id)
{
    for (unsigned slot = 0; slot < MEMBERS_MAX; slot++) {
        if (n->link[slot].is_used && node_id_eq(&n->link[slot].pin, id)) {
            return true;
        }
    }
    return false;
}

static void dial(struct bed *b, unsigned i, unsigned slot)
{
    struct bed_node *n = &b->node[i];
    struct bed_link *l = &n->link[slot];
    struct bed_node *target = at_address(b, l->host);
    l->dial_ms = b->now.mono_ms + DIAL_MS + bed_random(b, DIAL_MS);
    if (!target || b->is_cut[i][index_of(b, target)] || (b->no_hairpin && target == n)) {
        link_down(i, slot);
        return;
    }
    if (node_id_eq(&target->id, &n->id)) {
        report(b, i, BED_SELF)->slot = slot;
        return;
    }
    if (!node_id_is_set(&l->pin)) {
        struct bed_mail *mail = report(b, i, BED_LEARNED);
        mail->slot = slot;
        mail->id = target->id;
        return;
    }
    if (!node_id_eq(&l->pin, &target->id) || !lets_in(target, &n->id)) {
        link_down(i, slot);
        return;
    }
    l->is_up = true;
    l->peer = index_of(b, target);
    struct bed_mail *mail = report(b, i, BED_UP);
    mail->slot = slot;
    mail->id = target->id;
}

static bool is_broken(struct bed *b, unsigned i, const struct bed_link *l)
{
    const struct bed_node *peer = &b->node[l->peer];
    bool is_unlucky = bed_random(b, 100000) < b->break_per_mille;
    return is_unlucky || !peer->is_alive || b->is_cut[i][l->peer] || !is_at(peer, l->host) ||
           !node_id_eq(&peer->id, &l->pin) || !lets_in(peer, &b->node[i].id);
}

static void step_links(struct bed *b, unsigned i)
{
    for (unsigned slot = 0; slot < MEMBERS_MAX; slot++) {
        struct bed_link *l = &b->node[i].link[slot];
        if (!l->is_used) {
            continue;
        }
        if (l->is_up && is_broken(b, i, l)) {
            link_down(i, slot);
        } else if (!l->is_up && b->now.mono_ms >= l->dial_ms) {
            dial(b, i, slot);
        }
    }
}

/* Steps */

static void deliver(struct bed *b, struct bed_mail *mail)
{
    struct bed_node *n = &b->node[mail->to];
    struct fail fail = {0};
    if (!n->m || mail->life != n->lives) {
        return;
    }
    switch (mail->kind) {
    case BED_SELF:
        membership_on_self(n->m, mail->slot, b->now);
        break;
    case BED_LEARNED:
        membership_on_learned(n->m, mail->slot, &mail->id, b->now);
        break;
    case BED_UP:
        membership_on_up(n->m, mail->slot, &mail->id, b->now);
        break;
    case BED_DOWN:
        membership_on_down(n->m, mail->slot, "no answer", b->now);
        break;
    case BED_HELLO:
        if (lets_in(n, &mail->id) &&
            !membership_on_hello(n->m, &mail->id, buf_span(mail->bytes), b->now, &fail)) {
            fail_msg("hello: %s", fail.text);
        }
        break;
    case BED_SAVED:
        n->pins = *mail->pins;
        membership_on_saved(n->m, mail->version, b->now);
        break;
    case BED_FORMED:
        n->has_log = true;
        n->config = *mail->config;
        break;
    }
}

static void deliver_due(struct bed *b)
{
    for (;;) {
        struct bed_mail *next = NULL;
        for (size_t i = 0; i < b->mail_top; i++) {
            struct bed_mail *mail = &b->mail[i];
            if (mail->is_used && mail->at_ms <= b->now.mono_ms &&
                (!next || mail->at_ms < next->at_ms ||
                 (mail->at_ms == next->at_ms && mail->order < next->order))) {
                next = mail;
            }
        }
        while (b->mail_top > 0 && !b->mail[b->mail_top - 1].is_used) {
            b->mail_top--;
        }
        if (!next) {
            return;
        }
        struct bed_mail mail = *next;
        *next = (struct bed_mail){0};
        deliver(b, &mail);
        forget(&mail);
    }
}

void bed_run(struct bed *b, uint64_t ms)
{
    for (uint64_t end = b->now.mono_ms + ms; b->now.mono_ms < end;) {
        b->now.mono_ms += BED_STEP_MS;
        deliver_due(b);
        for (unsigned i = 0; i < b->count; i++) {
            if (b->node[i].m) {
                step_links(b, i);
                membership_turn(b->node[i].m, b->now);
                assert_true(membership_deadline(b->node[i].m) > 0);
            }
        }
        bed_step_log(b);
    }
}
