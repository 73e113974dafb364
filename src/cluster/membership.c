#include "cluster/membership.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/membership_state.h"

#define SEED_BYTES 32

/* Shared by the files of membership */

void membership_say(struct membership *m, enum membership_weight weight, const char *fmt, ...)
{
    m->is_dirty = true;
    if (m->saying_count == SAYINGS_MAX) {
        return; /* said by the slots' states as well */
    }
    struct saying *s = &m->saying[m->saying_count++];
    va_list args;
    va_start(args, fmt);
    s->weight = weight;
    (void)vsnprintf(s->text, sizeof(s->text), fmt, args);
    va_end(args);
}

void membership_refuse(struct membership *m, const char *fmt, ...)
{
    if (m->is_refused) {
        return;
    }
    m->is_refused = true;
    m->refusal_due = true;
    m->is_dirty = true;
    m->refusal.code = E_CONFLICT;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(m->refusal.text, sizeof(m->refusal.text), fmt, args);
    va_end(args);
}

void membership_wake(struct membership *m, uint64_t ms)
{
    m->deadline_ms = ms < m->deadline_ms ? ms : m->deadline_ms;
}

/* Addresses of the log: host:port#id */

void membership_address_text(const char *host, uint16_t port, const struct node_id *id,
                             char dst[MEMBERSHIP_ADDRESS_MAX + 1])
{
    char address[MEMBER_ADDRESS_MAX + 1];
    char text[NODE_ID_TEXT + 1];
    member_address(host, port, address);
    node_id_text(id, text);
    size_t len = strlen(address);
    bool fits = len + 1 + NODE_ID_TEXT <= MEMBERSHIP_ADDRESS_MAX;
    len = len < MEMBERSHIP_ADDRESS_MAX ? len : MEMBERSHIP_ADDRESS_MAX;
    memcpy(dst, address, len);
    dst[len] = '\0';
    if (fits) {
        dst[len] = '#';
        memcpy(dst + len + 1, text, NODE_ID_TEXT + 1);
    }
}

static bool read_id(struct span text, struct node_id *ret)
{
    static const char digits[] = "0123456789abcdef";
    struct node_id id = {0};
    if (text.len != NODE_ID_TEXT) {
        return false;
    }
    for (size_t i = 0; i < NODE_ID_TEXT; i++) {
        const char *digit = memchr(digits, text.data[i], 16);
        if (!digit) {
            return false;
        }
        id.bytes[i / 2] = (uint8_t)(id.bytes[i / 2] << 4 | (digit - digits));
    }
    *ret = id;
    return true;
}

/* An address that cannot be read leaves host empty: its server is found by its number only. */
static void read_address(const char *address, struct server *server)
{
    struct span rest = span_str(address);
    struct span place = span_cut(&rest, '#');
    struct node_id id;
    struct member_list *list = mem_zalloc(1, sizeof(*list));
    if (members_parse("log", place, MEMBER_PORT_DEFAULT, list, NULL) == 0 && list->count == 1) {
        memcpy(server->host, list->list[0].host, sizeof(server->host));
        server->port = list->list[0].port;
    }
    if (rest.len > 0 && rest.data[rest.len - 1] == MEMBERSHIP_ORDERED) {
        server->is_ordered = true;
        rest.len--;
    }
    if (read_id(rest, &id) && node_id_number(&id) == server->number) {
        server->id = id;
    }
    mem_free(list);
}

/* Creation */

/* Numbers of this life. */
static void derive(const uint8_t *seed, uint8_t label, uint8_t dst[SHA256_DIGEST_LENGTH])
{
    uint8_t text[SEED_BYTES + 1];
    memcpy(text, seed, SEED_BYTES);
    text[SEED_BYTES] = label;
    (void)SHA256(text, sizeof(text), dst);
    OPENSSL_cleanse(text, sizeof(text));
}

static void set_numbers(struct membership *m, const uint8_t *seed)
{
    uint8_t bytes[SHA256_DIGEST_LENGTH];
    derive(seed, 1, bytes);
    memcpy(&m->life, bytes, sizeof(m->life));
    m->life |= 1; /* not 0 */
    memcpy(&m->jitter, bytes + sizeof(m->life), sizeof(m->jitter));
    derive(seed, 2, bytes);
    memcpy(m->nonce, bytes, sizeof(m->nonce));
    if (m->wanted.generation == 0) {
        derive(seed, 3, bytes);
        memcpy(&m->wanted.generation, bytes, sizeof(uint32_t)); /* room to grow */
        m->wanted.generation |= (uint64_t)1 << 32;
        m->pins_due = true;
    }
}

/* What the file says was the first configuration. */
static void restore_form(struct membership *m)
{
    for (size_t i = 0; i < m->known.count; i++) {
        const struct pin *p = &m->known.list[i];
        struct form_member member = {.id = p->id, .generation = p->generation, .port = p->port};
        memcpy(member.host, p->host, sizeof(member.host));
        (void)form_join(&m->form, &member);
    }
}

/* What the file says and what there is. */
static void check_stage(struct membership *m, const char *name)
{
    if (!m->is_pristine && m->wanted.stage != PINS_MEMBER) {
        m->wanted.stage = PINS_MEMBER;
        m->pins_due = true;
    }
    if (m->is_pristine && m->wanted.stage == PINS_MEMBER) {
        membership_refuse(m,
                          "this node was a member of a cluster (%s), but its log is not in the "
                          "data directory: restore it, or remove node.key, node.crt and peers "
                          "too, so that it comes back as a new node",
                          name);
    }
    if (m->is_pristine && m->wanted.stage == PINS_FORMING &&
        !form_makes(&m->form, m->wanted.cluster_id)) {
        membership_refuse(m,
                          "%s does not hold the first configuration that it says was agreed: "
                          "remove node.key, node.crt and peers, so that this node starts anew",
                          name);
    }
}

int membership_create(const struct membership_options *options, const struct membership_ops *ops,
                      void *self, struct now now, struct membership **ret, struct fail *fail)
{
    if (options->secret.len > MEMBERSHIP_SECRET_MAX) {
        return fail_set(fail, E_INVALID, "the shared secret: expected at most %d bytes, found %zu",
                        MEMBERSHIP_SECRET_MAX, options->secret.len);
    }
    struct membership *m = mem_zalloc(1, sizeof(*m));
    m->ops = ops;
    m->self = self;
    m->id = *options->id;
    m->number = node_id_number(&m->id);
    m->port = options->port;
    m->repin = options->repin;
    m->is_forced = options->is_forced;
    m->is_pristine = !options->has_log;
    m->start_ms = now.mono_ms;
    m->is_dirty = true;
    (void)snprintf(m->host, sizeof(m->host), "%s", options->host);
    (void)snprintf(m->release, sizeof(m->release), "%s", options->release);
    m->secret_len = options->secret.len;
    if (m->secret_len > 0) {
        memcpy(m->secret, options->secret.data, m->secret_len);
    }
    m->known = *options->pins;
    m->wanted = *options->pins;
    m->durable = *options->pins;
    restore_form(m);
    set_numbers(m, options->seed);
    check_stage(m, options->pins_name);
    *ret = m;
    return 0;
}

void membership_destroy(struct membership *m)
{
    if (m) {
        OPENSSL_cleanse(m->secret, sizeof(m->secret));
        mem_free(m);
    }
}

/* Inputs */

void membership_set_list(struct membership *m, const struct member_list *list, struct now now)
{
    m->is_dirty = true;
    if (m->has_list && members_eq(&m->list, list)) {
        return;
    }
    m->list = *list;
    m->has_list = true;
    m->list_ms = now.mono_ms;
    m->hellos_due = true;
    m->links_due = true;
    members_hash(list, m->list_hash);
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (s->is_used && s->is_listed && !membership_is_wanted(m, s->host, s->port)) {
            slot_unlist(m, s, now);
        }
        s->difference[0] = '\0'; /* the next hello tells */
    }
}

/* The slot that links mean; NULL: it is not dialled (any more). */
static struct slot *dialled(struct membership *m, unsigned slot)
{
    if (slot >= SLOTS_MAX || !m->slot[slot].is_used || m->is_refused) {
        return NULL;
    }
    m->is_dirty = true;
    return &m->slot[slot];
}

void membership_on_self(struct membership *m, unsigned slot, struct now now)
{
    struct slot *s = dialled(m, slot);
    if (s) {
        slot_self(m, s, now);
    }
}

void membership_on_learned(struct membership *m, unsigned slot, const struct node_id *id,
                           struct now now)
{
    struct slot *s = dialled(m, slot);
    if (s && node_id_eq(id, &m->id)) {
        slot_self(m, s, now);
    } else if (s) {
        slot_learned(m, s, id, now);
    }
}

void membership_on_up(struct membership *m, unsigned slot, const struct node_id *id, struct now now)
{
    struct slot *s = dialled(m, slot);
    if (!s || s->is_self || !node_id_eq(slot_who(s), id) || !node_id_is_set(id)) {
        return;
    }
    if (!s->is_up) {
        s->since_ms = now.mono_ms;
    }
    s->is_up = true;
    s->why[0] = '\0';
    s->seen_ms = now.mono_ms;
    s->was_seen = true;
    s->hello_due_ms = now.mono_ms;
    slot_home(m, s, now);
}

void membership_on_down(struct membership *m, unsigned slot, const char *why, struct now now)
{
    struct slot *s = dialled(m, slot);
    if (!s) {
        return;
    }
    if (s->is_up) {
        s->since_ms = now.mono_ms;
        s->seen_ms = now.mono_ms;
    }
    s->is_up = false;
    (void)snprintf(s->why, sizeof(s->why), "%.*s", WHY_MAX - 1, why ? why : "");
}

void membership_on_seen(struct membership *m, const struct node_id *from, struct now now)
{
    struct slot *s = slot_of_id(m, from);
    if (s) {
        s->seen_ms = now.mono_ms;
        s->was_seen = true;
    }
}

void membership_on_saved(struct membership *m, uint64_t version, struct now now)
{
    (void)now;
    if (!m->is_saving || version != m->version) {
        return;
    }
    m->is_saving = false;
    m->is_dirty = true;
    bool is_news = m->saving.stage != m->durable.stage ||
                   m->saving.generation != m->durable.generation ||
                   memcmp(m->saving.agreed, m->durable.agreed, FORM_BYTES) != 0 ||
                   memcmp(m->saving.cluster_id, m->durable.cluster_id, CLUSTER_ID_BYTES) != 0;
    m->durable = m->saving;
    m->hellos_due = m->hellos_due || is_news;
}

/* The log of a node that was alone before there were clusters, or whose file was removed. With
 * others in the log they know the name. */
static void name_cluster(struct membership *m)
{
    static const uint8_t none[CLUSTER_ID_BYTES];
    if (memcmp(m->wanted.cluster_id, none, sizeof(none)) == 0) {
        uint8_t digest[SHA256_DIGEST_LENGTH];
        (void)SHA256(m->id.bytes, NODE_ID_BYTES, digest);
        memcpy(m->wanted.cluster_id, digest, CLUSTER_ID_BYTES);
        m->pins_due = true;
    }
}

void membership_on_servers(struct membership *m, const struct membership_server *list, size_t count,
                           struct now now)
{
    (void)now;
    bool has_us = false;
    if (count == 0) {
        return; /* an empty log of a node that joins */
    }
    m->is_dirty = true;
    m->hellos_due = true;
    m->has_servers = true;
    m->is_told = true;
    m->server_count = count < MEMBERS_MAX ? count : MEMBERS_MAX;
    for (size_t i = 0; i < m->server_count; i++) {
        m->server[i] = (struct server){.number = list[i].number, .is_voter = list[i].is_voter};
        read_address(list[i].address, &m->server[i]);
        has_us = has_us || list[i].number == m->number;
    }
    if (has_us && m->server_count == 1) {
        name_cluster(m);
    }
    if (has_us && (m->is_pristine || m->wanted.stage != PINS_MEMBER)) {
        m->is_pristine = false;
        m->wanted.stage = PINS_MEMBER;
        m->pins_due = true;
    }
}

void membership_on_leader(struct membership *m, uint64_t leader, bool is_self, struct now now)
{
    (void)now;
    if (m->leader == leader && m->is_leader == is_self) {
        return;
    }
    m->leader = leader;
    m->is_leader = is_self;
    m->is_changing = m->is_changing && is_self;
    if (!is_self) {
        struct fail why = {0};
        (void)fail_set(&why, E_NOT_LEADER, "another node leads now; what had begun goes on there");
        membership_order_over(m, &why);
    }
    m->hellos_due = true;
    m->is_dirty = true;
}

void membership_on_change_done(struct membership *m, const struct fail *why, struct now now)
{
    m->is_changing = false;
    m->is_dirty = true;
    if (m->order.state == MEMBERSHIP_ORDER_RUNS) {
        membership_order_over(m, why);
        m->change_ms = 0; /* what the list wants is not delayed by it */
        return;
    }
    if (!why) {
        /* Without the configuration that it made, it would be asked for again. */
        m->change_ms = m->is_told ? m->change_ms : now.mono_ms + MEMBERSHIP_HELLO_MS;
        m->change_fail = (struct fail){0};
        return;
    }
    m->change_ms = now.mono_ms + MEMBERSHIP_RETRY_MS;
    if (strcmp(m->change_fail.text, fail_text(why)) != 0) {
        membership_say(m, MEMBERSHIP_WARN, "the members cannot be changed now: %s", fail_text(why));
        m->change_fail = *why;
        (void)snprintf(m->change_fail.text, sizeof(m->change_fail.text), "%s", fail_text(why));
    }
}

/* A turn */

static void add_pin(const struct membership *m, struct pins *pins, struct pin pin)
{
    const struct form_member *former = form_find(&m->form, &pin.id);
    bool is_same = former && former->port == pin.port && strcmp(former->host, pin.host) == 0;
    pin.generation = is_same ? former->generation : 0;
    if (pins->count < PINS_MAX) {
        pins->list[pins->count++] = pin;
    }
}

/* A first configuration that is being made has to be in the file whole, whoever is at the slots. */
static bool is_in_form(const struct membership *m, const struct node_id *id)
{
    return m->wanted.stage == PINS_FORMING && form_find(&m->form, id);
}

static void collect_pins(struct membership *m, struct pins *pins)
{
    *pins = m->wanted;
    pins->count = 0;
    for (size_t i = 0; i < m->form.count; i++) {
        const struct form_member *former = &m->form.list[i];
        struct pin pin = {.id = former->id, .port = former->port};
        pin.is_self = node_id_eq(&former->id, &m->id);
        struct slot *s = slot_of_id(m, &former->id);
        pin.slot = s ? slot_index(m, s) : (unsigned)i;
        memcpy(pin.host, former->host, sizeof(pin.host));
        if (pin.is_self || is_in_form(m, &former->id)) {
            add_pin(m, pins, pin);
        }
    }
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        if (!s->is_used || !node_id_is_set(&s->pin) || is_in_form(m, &s->pin)) {
            continue;
        }
        struct pin pin = {.slot = i, .id = s->pin, .port = s->port};
        memcpy(pin.host, s->host, sizeof(pin.host));
        add_pin(m, pins, pin);
    }
}

static void save(struct membership *m)
{
    if (!m->pins_due || m->is_saving) {
        return;
    }
    m->pins_due = false;
    m->is_saving = true;
    m->version++;
    collect_pins(m, &m->saving);
    m->ops->save(m->self, pins_encode(&m->saving), m->version);
}

static void speak(struct membership *m, struct now now)
{
    char words[MEMBERSHIP_WORDS_MAX];
    membership_words(m, words, now);
    enum membership_phase phase = membership_phase(m);
    bool waits = phase == MEMBERSHIP_LOOKING || phase == MEMBERSHIP_WAITING;
    if (waits && strcmp(words, m->words_said) != 0) {
        if (now.mono_ms < m->words_ms) {
            membership_wake(m, m->words_ms);
        } else {
            m->words_ms = now.mono_ms + MEMBERSHIP_HELLO_MS;
            memcpy(m->words_said, words, sizeof(words));
            membership_say(m, MEMBERSHIP_INFO, "%s", words);
        }
    }
    for (size_t i = 0; i < m->saying_count; i++) {
        m->ops->say(m->self, m->saying[i].weight, m->saying[i].text);
    }
    m->saying_count = 0;
}

void membership_turn(struct membership *m, struct now now)
{
    if (m->refusal_due) {
        m->refusal_due = false;
        speak(m, now);
        m->ops->refuse(m->self, &m->refusal);
    }
    if (m->is_refused || (!m->is_dirty && now.mono_ms < m->deadline_ms)) {
        return;
    }
    m->is_dirty = false;
    m->deadline_ms = UINT64_MAX;
    membership_age(m, now);
    membership_place(m, now);
    membership_sync(m, now);
    membership_first(m, now);
    membership_lead(m, now);
    save(m);
    if (m->links_due) {
        membership_links(m);
    }
    membership_hellos(m, now);
    speak(m, now);
    m->is_dirty = m->refusal_due;
}

uint64_t membership_deadline(const struct membership *m)
{
    if (m->is_refused) {
        return m->refusal_due ? 0 : UINT64_MAX;
    }
    return m->is_dirty ? 0 : m->deadline_ms;
}
