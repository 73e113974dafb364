#include "consensus/raft_intake.h"

#include <string.h>

#include "base/assert.h"
#include "consensus/raft_snapshot.h"

static void drop(struct raft_intake *in)
{
    if (in->file_bytes > 0) {
        raft_companion_drop(in->file);
    }
    raft_configuration_close(&in->meta.configuration);
    raft_free(in->bytes);
    in->meta = (struct raft_snapshot_metadata){0};
    in->bytes = NULL;
    in->total = 0;
    in->file_bytes = 0;
    in->come = 0;
    in->told = 0;
    in->is_lost_told = false;
    in->is_complete = false;
}

static bool is_same(const struct raft_intake *in, uint64_t from, const struct raft_piece *piece)
{
    return in->bytes && in->from == from && in->term == piece->term &&
           in->meta.index == piece->meta.index && in->meta.term == piece->meta.term &&
           in->total == piece->total && in->file_bytes == piece->companion;
}

/* What goes into memory. */
static uint64_t body_bytes(const struct raft_intake *in)
{
    return in->total - in->file_bytes;
}

/* What is here for sure. */
static uint64_t have(const struct raft_intake *in)
{
    uint64_t body = body_bytes(in);
    return in->come <= body ? in->come : body + raft_companion_state(in->file).written;
}

static bool is_whole(const struct raft_intake *in)
{
    return have(in) == in->total && (in->file_bytes == 0 || raft_companion_state(in->file).is_done);
}

/* Its members move in. False: there is no memory for it, or nowhere to put a companion. */
static bool begin(struct raft_intake *in, uint64_t from, struct raft_piece *piece)
{
    drop(in);
    if (piece->companion > 0 && !in->file) {
        return false;
    }
    in->bytes = raft_malloc(piece->total - piece->companion);
    if (!in->bytes) {
        return false;
    }
    if (piece->companion > 0) {
        raft_companion_begin(in->file);
    }
    in->file_bytes = piece->companion;
    in->from = from;
    in->term = piece->term;
    in->version = piece->version;
    in->meta = piece->meta;
    in->total = piece->total;
    piece->meta.configuration = (struct raft_configuration){0};
    return true;
}

/* Behind the body everything belongs to the companion. */
static bool append_to_file(struct raft_intake *in, struct span data)
{
    if (data.len == 0) {
        return true;
    }
    if (!raft_companion_write(in->file, data)) {
        return false;
    }
    in->come += data.len;
    if (in->come == in->total) {
        raft_companion_end(in->file);
    }
    return true;
}

/* True when the piece is the next one. */
static bool append(struct raft_intake *in, const struct raft_piece *piece)
{
    struct span data = piece->data;
    uint64_t body = body_bytes(in);
    if (piece->offset != in->come) {
        return false;
    }
    if (in->come < body && data.len > 0) {
        size_t n = data.len < body - in->come ? data.len : (size_t)(body - in->come);
        memcpy(in->bytes + in->come, data.data, n);
        in->come += n;
        data = span_of(data.data + n, data.len - n);
    }
    in->is_lost_told = false;
    return append_to_file(in, data);
}

static void mark_taken(struct raft_intake *in)
{
    in->taken_index = in->meta.index;
    in->taken_term = in->term;
}

/* All of it is there: is it one? A damaged one counts as taken over, so that it is not sent again
 * and again: the leader's next snapshot is another one. */
static bool complete(struct raft_intake *in)
{
    struct consensus_source source = {0};
    if (raft_snapshot_open(span_of(in->bytes, body_bytes(in)), &source, NULL) == 0) {
        in->is_complete = true;
        return true;
    }
    in->damaged++;
    mark_taken(in);
    drop(in);
    return false;
}

static bool take_piece_in(struct raft_intake *in, uint64_t from, struct raft_piece *piece,
                          struct raft_piece_ack *ret_ack)
{
    if (in->taken_index == piece->meta.index && in->taken_term == piece->term) {
        ret_ack->next = piece->total;
        ret_ack->is_done = true;
        return true;
    }
    if (!is_same(in, from, piece)) {
        if (piece->offset != 0 || piece->data.len == 0) {
            ret_ack->is_lost = true; /* from the beginning, please */
            return true;
        }
        if (!begin(in, from, piece)) {
            return false;
        }
    }
    bool is_ahead = piece->offset > in->come;
    if (append(in, piece) && is_whole(in) && !in->is_complete && !complete(in)) {
        ret_ack->next = piece->total;
        ret_ack->is_done = true;
        return true;
    }
    in->told = have(in);
    ret_ack->next = is_ahead ? in->come : in->told;
    ret_ack->is_lost = is_ahead;
    bool is_told = is_ahead && in->is_lost_told;
    in->is_lost_told = in->is_lost_told || is_ahead;
    return !is_told;
}

bool raft_intake_progress(struct raft_intake *in, struct raft_piece_ack *ret_ack)
{
    if (!in->bytes || in->file_bytes == 0 || in->is_complete) {
        return false;
    }
    if (raft_companion_state(in->file).err) {
        in->failed_ms = in->heard_ms;
        drop(in);
        return false;
    }
    *ret_ack = (struct raft_piece_ack){.term = in->term, .index = in->meta.index};
    if (is_whole(in) && !complete(in)) {
        ret_ack->next = in->total;
        ret_ack->is_done = true;
        return true;
    }
    if (have(in) == in->told) {
        return false;
    }
    in->told = have(in);
    ret_ack->next = in->told;
    return true;
}

bool raft_intake_piece(struct raft_intake *in, uint64_t from, struct raft_piece *take_piece,
                       uint64_t now_ms, struct raft_piece_ack *ret_ack)
{
    *ret_ack = (struct raft_piece_ack){.term = take_piece->term, .index = take_piece->meta.index};
    in->heard_ms = now_ms;
    bool is_failed = in->failed_ms != 0 && now_ms - in->failed_ms < RAFT_INTAKE_FAILED_MS;
    bool is_answered = !is_failed && take_piece_in(in, from, take_piece, ret_ack);
    raft_configuration_close(&take_piece->meta.configuration);
    take_piece->meta.configuration = (struct raft_configuration){0};
    return is_answered;
}

bool raft_intake_take(struct raft_intake *in, struct raft_message *ret,
                      struct raft_piece_ack *ret_ack)
{
    if (!in->is_complete) {
        return false;
    }
    *ret = (struct raft_message){
        .type = RAFT_INSTALL_SNAPSHOT, .server_id = in->from, .server_address = ""};
    ret->install_snapshot =
        (struct raft_install_snapshot){.version = in->version,
                                       .term = in->term,
                                       .last_index = in->meta.index,
                                       .last_term = in->meta.term,
                                       .conf = in->meta.configuration,
                                       .conf_index = in->meta.configuration_index,
                                       .data = {in->bytes, body_bytes(in)}};
    *ret_ack = (struct raft_piece_ack){
        .term = in->term, .index = in->meta.index, .next = in->total, .is_done = true};
    mark_taken(in);
    in->meta = (struct raft_snapshot_metadata){0};
    in->bytes = NULL;
    in->file_bytes = 0; /* it has its name; the owner takes it with the snapshot */
    drop(in);
    return true;
}

void raft_intake_tick(struct raft_intake *in, uint64_t term, uint64_t now_ms)
{
    bool is_silent = now_ms - in->heard_ms >= RAFT_INTAKE_SILENT_MS && !in->is_complete;
    if (in->bytes && (in->term != term || is_silent)) {
        drop(in);
    }
}

void raft_intake_close(struct raft_intake *in)
{
    drop(in);
    *in = (struct raft_intake){.file = in->file};
}
