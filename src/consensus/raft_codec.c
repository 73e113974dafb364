#include "consensus/raft_codec.h"

#include <endian.h>

#include <raft_msg.pb-c.h>

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/consensus.h"
#include "consensus/raft_companion.h"
#include "consensus/raft_conf.h"
#include "consensus/raft_driver.h"
#include "consensus/raft_guard.h"
#include "consensus/raft_snapshot.h"

#define INDEX_MAX (UINT64_MAX >> 2) /* what is added to an index never overflows */
#define SNAPSHOT_MAX                                                                               \
    (RAFT_SNAPSHOT_BYTES_MAX + RAFT_SNAPSHOT_BYTES_MAX / 1024) /* with its heads                   \
                                                                */

/* For interfaces that have no const and only read. */
static void *unconst(const void *p)
{
    union {
        const void *from;
        void *to;
    } cast = {.from = p};
    return cast.to;
}

static void *must(void *memory)
{
    ASSERT(memory); /* out of memory ends the process, as in base/mem.h */
    return memory;
}

/* ---------------------------------------------------------------- encoding */

static struct buf *pack(const Nacre__RaftMsg *m)
{
    size_t len = nacre__raft_msg__get_packed_size(m);
    char *bytes = mem_alloc(len + 1);
    (void)nacre__raft_msg__pack(m, (uint8_t *)bytes);
    return buf_take(bytes, len);
}

static Nacre__RaftMsg head(uint64_t from, uint64_t to, Nacre__RaftMsg__BodyCase body)
{
    Nacre__RaftMsg m = NACRE__RAFT_MSG__INIT;
    m.version = RAFT_CODEC_VERSION;
    m.from = from;
    m.to = to;
    m.body_case = body;
    return m;
}

static size_t entries_len(const struct raft_append_entries *a)
{
    size_t len = 0;
    for (unsigned i = 0; i < a->n_entries; i++) {
        len += RAFT_CODEC_ENTRY_HEAD + a->entries[i].buf.len;
    }
    return len;
}

static void write_entries(const struct raft_append_entries *a, char *at)
{
    for (unsigned i = 0; i < a->n_entries; i++) {
        const struct raft_entry *e = &a->entries[i];
        uint64_t term = htole64(e->term);
        uint32_t len = htole32((uint32_t)e->buf.len);
        memset(at, 0, RAFT_CODEC_ENTRY_HEAD);
        memcpy(at, &term, sizeof term);
        memcpy(at + 8, &len, sizeof len);
        at[12] = (char)e->type;
        at += RAFT_CODEC_ENTRY_HEAD;
        if (e->buf.len > 0) {
            memcpy(at, e->buf.base, e->buf.len);
        }
        at += e->buf.len;
    }
}

static struct buf *encode_append(uint64_t from, const struct raft_message *message)
{
    const struct raft_append_entries *a = &message->append_entries;
    Nacre__RaftAppend body = NACRE__RAFT_APPEND__INIT;
    body.version = a->version;
    body.term = a->term;
    body.prev_index = a->prev_log_index;
    body.prev_term = a->prev_log_term;
    body.commit_index = a->leader_commit;
    body.count = a->n_entries;
    body.entries.len = entries_len(a);
    body.entries.data = mem_alloc(body.entries.len + 1);
    write_entries(a, (char *)body.entries.data);
    Nacre__RaftMsg m = head(from, message->server_id, NACRE__RAFT_MSG__BODY_APPEND);
    m.append = &body;
    struct buf *packed = pack(&m);
    mem_free(body.entries.data);
    return packed;
}

static struct buf *encode_append_result(uint64_t from, const struct raft_message *message)
{
    const struct raft_append_entries_result *r = &message->append_entries_result;
    Nacre__RaftAppendResult body = NACRE__RAFT_APPEND_RESULT__INIT;
    body.version = r->version;
    body.term = r->term;
    body.rejected = r->rejected;
    body.last_index = r->last_log_index;
    body.features = r->features;
    body.capacity = r->capacity;
    Nacre__RaftMsg m = head(from, message->server_id, NACRE__RAFT_MSG__BODY_APPEND_RESULT);
    m.append_result = &body;
    return pack(&m);
}

static struct buf *encode_vote(uint64_t from, const struct raft_message *message)
{
    const struct raft_request_vote *v = &message->request_vote;
    Nacre__RaftVote body = NACRE__RAFT_VOTE__INIT;
    body.version = v->version;
    body.term = v->term;
    body.candidate = v->candidate_id;
    body.last_index = v->last_log_index;
    body.last_term = v->last_log_term;
    body.is_disrupting = v->disrupt_leader;
    body.is_pre_vote = v->pre_vote;
    Nacre__RaftMsg m = head(from, message->server_id, NACRE__RAFT_MSG__BODY_VOTE);
    m.vote = &body;
    return pack(&m);
}

static struct buf *encode_vote_result(uint64_t from, const struct raft_message *message)
{
    const struct raft_request_vote_result *r = &message->request_vote_result;
    Nacre__RaftVoteResult body = NACRE__RAFT_VOTE_RESULT__INIT;
    body.version = r->version;
    body.term = r->term;
    body.is_granted = r->vote_granted;
    body.is_pre_vote = r->pre_vote;
    body.features = r->features;
    body.capacity = r->capacity;
    Nacre__RaftMsg m = head(from, message->server_id, NACRE__RAFT_MSG__BODY_VOTE_RESULT);
    m.vote_result = &body;
    return pack(&m);
}

static struct buf *encode_timeout_now(uint64_t from, const struct raft_message *message)
{
    const struct raft_timeout_now *t = &message->timeout_now;
    Nacre__RaftTimeoutNow body = NACRE__RAFT_TIMEOUT_NOW__INIT;
    body.version = t->version;
    body.term = t->term;
    body.last_index = t->last_log_index;
    body.last_term = t->last_log_term;
    Nacre__RaftMsg m = head(from, message->server_id, NACRE__RAFT_MSG__BODY_TIMEOUT_NOW);
    m.timeout_now = &body;
    return pack(&m);
}

struct buf *raft_codec_message(uint64_t from, const struct raft_message *message)
{
    switch (message->type) {
    case RAFT_APPEND_ENTRIES:
        return encode_append(from, message);
    case RAFT_APPEND_ENTRIES_RESULT:
        return encode_append_result(from, message);
    case RAFT_REQUEST_VOTE:
        return encode_vote(from, message);
    case RAFT_REQUEST_VOTE_RESULT:
        return encode_vote_result(from, message);
    default:
        ASSERT(message->type == RAFT_TIMEOUT_NOW);
        return encode_timeout_now(from, message);
    }
}

struct buf *raft_codec_piece(uint64_t from, uint64_t to, const struct raft_piece *piece)
{
    const struct raft_configuration *conf = &piece->meta.configuration;
    Nacre__RaftServer servers[RAFT_DRIVER_PEERS_MAX];
    Nacre__RaftServer *list[RAFT_DRIVER_PEERS_MAX];
    ASSERT(conf->n <= RAFT_DRIVER_PEERS_MAX);
    for (unsigned i = 0; i < conf->n; i++) {
        nacre__raft_server__init(&servers[i]);
        servers[i].id = conf->servers[i].id;
        servers[i].address.data = (uint8_t *)conf->servers[i].address;
        servers[i].address.len = strlen(conf->servers[i].address);
        servers[i].role = (uint32_t)conf->servers[i].role;
        list[i] = &servers[i];
    }
    Nacre__RaftPiece body = NACRE__RAFT_PIECE__INIT;
    body.version = piece->version;
    body.term = piece->term;
    body.last_index = piece->meta.index;
    body.last_term = piece->meta.term;
    body.members_index = piece->meta.configuration_index;
    body.n_members = conf->n;
    body.members = list;
    body.total = piece->total;
    body.companion = piece->companion;
    body.offset = piece->offset;
    body.data.data = unconst(piece->data.data); /* protobuf-c only reads it */
    body.data.len = piece->data.len;
    Nacre__RaftMsg m = head(from, to, NACRE__RAFT_MSG__BODY_PIECE);
    m.piece = &body;
    return pack(&m);
}

struct buf *raft_codec_ack(uint64_t from, uint64_t to, const struct raft_piece_ack *ack)
{
    Nacre__RaftPieceAck body = NACRE__RAFT_PIECE_ACK__INIT;
    body.term = ack->term;
    body.last_index = ack->index;
    body.next = ack->next;
    body.is_lost = ack->is_lost;
    body.is_done = ack->is_done;
    Nacre__RaftMsg m = head(from, to, NACRE__RAFT_MSG__BODY_PIECE_ACK);
    m.piece_ack = &body;
    return pack(&m);
}

/* ---------------------------------------------------------------- decoding */

static int bad(struct fail *fail, const char *what)
{
    return fail_set(fail, E_PARSE, "a message between members of the log: %s", what);
}

/* Unknown and repeated fields cost many times their size; beyond this the message is refused. */
struct budget {
    size_t left;
};

static void *budget_alloc(void *self, size_t size)
{
    struct budget *b = self;
    if (size > b->left) {
        return NULL;
    }
    b->left -= size;
    return mem_alloc(size);
}

static void budget_free(void *self, void *memory)
{
    (void)self;
    mem_free(memory);
}

static bool is_byte(uint32_t n)
{
    return n <= UINT8_MAX;
}

static bool is_short(uint32_t n)
{
    return n <= UINT16_MAX;
}

static bool is_index(uint64_t n)
{
    return n <= INDEX_MAX;
}

static bool is_term(uint64_t n)
{
    return n > 0 && n <= INDEX_MAX;
}

/* One entry as raft_driver_receive takes it; its bytes are still in the message. */
static bool read_entry(struct span *rest, uint64_t term_max, struct raft_entry *ret)
{
    uint64_t term = 0;
    uint32_t len = 0;
    if (rest->len < RAFT_CODEC_ENTRY_HEAD) {
        return false;
    }
    memcpy(&term, rest->data, sizeof term);
    memcpy(&len, rest->data + 8, sizeof len);
    term = le64toh(term);
    len = le32toh(len);
    unsigned type = (unsigned char)rest->data[12];
    *rest = span_of(rest->data + RAFT_CODEC_ENTRY_HEAD, rest->len - RAFT_CODEC_ENTRY_HEAD);
    if (len > rest->len || len % 8 != 0 || term == 0 || term > term_max || type < RAFT_COMMAND ||
        type > RAFT_CHANGE) {
        return false;
    }
    struct span bytes = span_of(rest->data, len);
    *rest = span_of(rest->data + len, rest->len - len);
    *ret = (struct raft_entry){
        .term = term, .type = (enum raft_entry_type)type, .buf = {unconst(bytes.data), bytes.len}};
    return type != RAFT_CHANGE || raft_conf_is_encoded(bytes);
}

/* All of them in one block, as libraft wants it. */
static int read_entries(const Nacre__RaftAppend *body, struct raft_append_entries *a,
                        struct fail *fail)
{
    struct span rest = span_of((const char *)body->entries.data, body->entries.len);
    if (body->count == 0) {
        return rest.len == 0 ? 0 : bad(fail, "bytes, and no entries");
    }
    if (body->count > RAFT_DRIVER_INFLIGHT_MAX) {
        return bad(fail, "too many entries");
    }
    struct raft_entry *entries = must(raft_calloc(body->count, sizeof *entries));
    char *batch = must(raft_malloc(rest.len + 1));
    uint64_t term = a->prev_log_term;
    char *at = batch;
    int err = 0;
    for (unsigned i = 0; i < body->count && !err; i++) {
        struct raft_entry *e = &entries[i];
        if (!read_entry(&rest, body->term, e) || e->term < term) {
            err = bad(fail, "an entry that cannot be");
            break;
        }
        term = e->term;
        if (e->buf.len > 0) {
            memcpy(at, e->buf.base, e->buf.len);
        }
        e->buf.base = at;
        e->batch = batch;
        at += e->buf.len;
    }
    if (!err && rest.len > 0) {
        err = bad(fail, "bytes after the last entry");
    }
    if (err) {
        raft_free(entries);
        raft_free(batch);
        return err;
    }
    a->entries = entries;
    a->n_entries = body->count;
    return 0;
}

static int decode_append(const Nacre__RaftAppend *b, struct raft_message *ret, struct fail *fail)
{
    bool has_prev = b->prev_index > 0;
    if (!is_byte(b->version) || !is_term(b->term) || !is_index(b->prev_index) ||
        !is_index(b->commit_index) || has_prev != (b->prev_term > 0) || b->prev_term > b->term) {
        return bad(fail, "an append with numbers that cannot be");
    }
    ret->type = RAFT_APPEND_ENTRIES;
    ret->append_entries = (struct raft_append_entries){.version = (uint8_t)b->version,
                                                       .term = b->term,
                                                       .prev_log_index = b->prev_index,
                                                       .prev_log_term = b->prev_term,
                                                       .leader_commit = b->commit_index};
    return read_entries(b, &ret->append_entries, fail);
}

static int decode_append_result(const Nacre__RaftAppendResult *b, struct raft_message *ret,
                                struct fail *fail)
{
    if (!is_byte(b->version) || !is_term(b->term) || !is_index(b->rejected) ||
        !is_index(b->last_index) || !is_short(b->features) || !is_short(b->capacity)) {
        return bad(fail, "an append's result with numbers that cannot be");
    }
    ret->type = RAFT_APPEND_ENTRIES_RESULT;
    ret->append_entries_result =
        (struct raft_append_entries_result){.version = (uint8_t)b->version,
                                            .term = b->term,
                                            .rejected = b->rejected,
                                            .last_log_index = b->last_index,
                                            .features = (unsigned short)b->features,
                                            .capacity = (unsigned short)b->capacity};
    return 0;
}

static int decode_vote(const Nacre__RaftVote *b, struct raft_message *ret, struct fail *fail)
{
    if (!is_byte(b->version) || !is_term(b->term) || !is_index(b->last_index) ||
        !is_index(b->last_term) || b->candidate != ret->server_id) {
        return bad(fail, "a request to vote with numbers that cannot be");
    }
    ret->type = RAFT_REQUEST_VOTE;
    ret->request_vote = (struct raft_request_vote){.version = (uint8_t)b->version,
                                                   .term = b->term,
                                                   .candidate_id = b->candidate,
                                                   .last_log_index = b->last_index,
                                                   .last_log_term = b->last_term,
                                                   .disrupt_leader = b->is_disrupting,
                                                   .pre_vote = b->is_pre_vote};
    return 0;
}

static int decode_vote_result(const Nacre__RaftVoteResult *b, struct raft_message *ret,
                              struct fail *fail)
{
    if (!is_byte(b->version) || !is_index(b->term) || !is_short(b->features) ||
        !is_short(b->capacity)) {
        return bad(fail, "a vote with numbers that cannot be");
    }
    ret->type = RAFT_REQUEST_VOTE_RESULT;
    ret->request_vote_result =
        (struct raft_request_vote_result){.version = (uint8_t)b->version,
                                          .term = b->term,
                                          .vote_granted = b->is_granted,
                                          .pre_vote = b->is_pre_vote,
                                          .features = (unsigned short)b->features,
                                          .capacity = (unsigned short)b->capacity};
    return 0;
}

static int decode_timeout_now(const Nacre__RaftTimeoutNow *b, struct raft_message *ret,
                              struct fail *fail)
{
    if (!is_byte(b->version) || !is_term(b->term) || !is_index(b->last_index) ||
        !is_index(b->last_term)) {
        return bad(fail, "a transfer of leadership with numbers that cannot be");
    }
    ret->type = RAFT_TIMEOUT_NOW;
    ret->timeout_now = (struct raft_timeout_now){.version = (uint8_t)b->version,
                                                 .term = b->term,
                                                 .last_log_index = b->last_index,
                                                 .last_log_term = b->last_term};
    return 0;
}

static bool read_members(const Nacre__RaftPiece *b, struct raft_configuration *conf)
{
    raft_configuration_init(conf);
    bool is_good = b->n_members > 0 && b->n_members <= RAFT_DRIVER_PEERS_MAX;
    for (size_t i = 0; is_good && i < b->n_members; i++) {
        const Nacre__RaftServer *s = b->members[i];
        struct span address = span_of((const char *)s->address.data, s->address.len);
        is_good = raft_conf_add(conf, s->id, address, s->role);
    }
    return is_good;
}

static int decode_piece(const Nacre__RaftPiece *b, struct raft_packet *ret, struct fail *fail)
{
    if (!is_byte(b->version) || !is_term(b->term) || !is_term(b->last_index) ||
        !is_term(b->last_term) || b->last_term > b->term || b->members_index > b->last_index ||
        b->companion > RAFT_COMPANION_BYTES_MAX || b->companion >= b->total ||
        b->total - b->companion > SNAPSHOT_MAX || b->offset > b->total ||
        b->data.len > b->total - b->offset) {
        return bad(fail, "a piece of a snapshot with numbers that cannot be");
    }
    ret->kind = RAFT_PACKET_PIECE;
    ret->piece = (struct raft_piece){.version = (uint8_t)b->version,
                                     .term = b->term,
                                     .meta = {.index = b->last_index,
                                              .term = b->last_term,
                                              .configuration_index = b->members_index},
                                     .total = b->total,
                                     .companion = b->companion,
                                     .offset = b->offset};
    if (!read_members(b, &ret->piece.meta.configuration)) {
        raft_configuration_close(&ret->piece.meta.configuration);
        return bad(fail, "a snapshot with members that cannot be");
    }
    ret->owned = mem_alloc(b->data.len + 1);
    if (b->data.len > 0) {
        memcpy(ret->owned, b->data.data, b->data.len);
    }
    ret->piece.data = span_of(ret->owned, b->data.len);
    return 0;
}

static int decode_ack(const Nacre__RaftPieceAck *b, struct raft_packet *ret, struct fail *fail)
{
    if (!is_term(b->term) || !is_term(b->last_index) || !is_index(b->next)) {
        return bad(fail, "an acknowledgement with numbers that cannot be");
    }
    ret->kind = RAFT_PACKET_ACK;
    ret->ack = (struct raft_piece_ack){b->term, b->last_index, b->next, b->is_lost, b->is_done};
    return 0;
}

static int decode_body(const Nacre__RaftMsg *m, struct raft_packet *ret, struct fail *fail)
{
    switch (m->body_case) {
    case NACRE__RAFT_MSG__BODY_APPEND:
        return decode_append(m->append, &ret->message, fail);
    case NACRE__RAFT_MSG__BODY_APPEND_RESULT:
        return decode_append_result(m->append_result, &ret->message, fail);
    case NACRE__RAFT_MSG__BODY_VOTE:
        return decode_vote(m->vote, &ret->message, fail);
    case NACRE__RAFT_MSG__BODY_VOTE_RESULT:
        return decode_vote_result(m->vote_result, &ret->message, fail);
    case NACRE__RAFT_MSG__BODY_TIMEOUT_NOW:
        return decode_timeout_now(m->timeout_now, &ret->message, fail);
    case NACRE__RAFT_MSG__BODY_PIECE:
        return decode_piece(m->piece, ret, fail);
    case NACRE__RAFT_MSG__BODY_PIECE_ACK:
        return decode_ack(m->piece_ack, ret, fail);
    default:
        return bad(fail, "of a kind that is not known");
    }
}

int raft_codec_decode(struct span bytes, struct raft_packet *ret, struct fail *fail)
{
    if (bytes.len > CONSENSUS_MESSAGE_MAX) {
        return fail_set(fail, E_TOO_LARGE,
                        "a message between members of the log has %zu bytes, at most %u", bytes.len,
                        CONSENSUS_MESSAGE_MAX);
    }
    struct budget budget = {2 * bytes.len + RAFT_CODEC_SLACK};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};
    Nacre__RaftMsg *m = nacre__raft_msg__unpack(&allocator, bytes.len, (const uint8_t *)bytes.data);
    if (!m) {
        return bad(fail, "not one, or cut short");
    }
    struct raft_packet packet = {.from = m->from, .to = m->to, .kind = RAFT_PACKET_MESSAGE};
    packet.message.server_id = m->from;
    packet.message.server_address = "";
    int err = 0;
    if (m->version != RAFT_CODEC_VERSION) {
        err = bad(fail, "of another version");
    } else if (m->from == 0 || m->to == 0) {
        err = bad(fail, "without sender or receiver");
    } else {
        err = decode_body(m, &packet, fail);
    }
    nacre__raft_msg__free_unpacked(m, &allocator);
    if (!err) {
        *ret = packet;
    }
    return err;
}

void raft_codec_free(struct raft_packet *packet)
{
    if (packet->kind == RAFT_PACKET_MESSAGE) {
        raft_guard_free(&packet->message);
    } else if (packet->kind == RAFT_PACKET_PIECE) {
        raft_configuration_close(&packet->piece.meta.configuration);
        mem_free(packet->owned);
    }
    *packet = (struct raft_packet){.kind = RAFT_PACKET_ACK};
}
