#include "driver_bed.h"

#include "base/assert.h"
#include "base/mem.h"

static uint64_t now_ms(void *self)
{
    return ((struct driver_bed *)self)->now_ms;
}

static void on_wake(void *self)
{
    ((struct driver_bed *)self)->wakes++;
}

static void on_fatal(void *self, const struct fail *why)
{
    struct driver_bed *b = self;
    b->fatals++;
    b->why = *why;
}

static void on_trace(void *self, const struct raft_event *event)
{
    struct driver_bed *b = self;
    if (b->events_count == DRIVER_BED_MAX) {
        return;
    }
    struct bed_event e = {.type = event->type};
    if (event->type == RAFT_RECEIVE) {
        e.message = event->receive.message->type;
    }
    if (e.message == RAFT_APPEND_ENTRIES) {
        const struct raft_append_entries *a = &event->receive.message->append_entries;
        e.prev_index = a->prev_log_index;
        e.leader_commit = a->leader_commit;
        e.n_entries = a->n_entries;
        e.first_type = a->n_entries > 0 ? a->entries[0].type : 0;
    }
    if (event->type == RAFT_PERSISTED_ENTRIES) {
        e.index = event->persisted_entries.index;
    }
    b->events[b->events_count++] = e;
}

static void on_send(void *self, const struct raft_message *m)
{
    struct driver_bed *b = self;
    if (b->sent_count == DRIVER_BED_MAX) {
        return;
    }
    struct bed_sent s = {.type = m->type, .to = m->server_id};
    if (m->type == RAFT_APPEND_ENTRIES) {
        s.term = m->append_entries.term;
        s.prev_index = m->append_entries.prev_log_index;
        s.leader_commit = m->append_entries.leader_commit;
        s.n_entries = m->append_entries.n_entries;
    } else if (m->type == RAFT_APPEND_ENTRIES_RESULT) {
        s.term = m->append_entries_result.term;
        s.last_index = m->append_entries_result.last_log_index;
        s.is_rejected = m->append_entries_result.rejected > 0;
    } else if (m->type == RAFT_REQUEST_VOTE_RESULT) {
        s.term = m->request_vote_result.term;
        s.is_granted = m->request_vote_result.vote_granted;
    } else if (m->type == RAFT_REQUEST_VOTE) {
        s.term = m->request_vote.term;
    } else if (m->type == RAFT_INSTALL_SNAPSHOT) {
        s.term = m->install_snapshot.term;
        s.last_index = m->install_snapshot.last_index;
        s.last_term = m->install_snapshot.last_term;
    }
    b->sent[b->sent_count++] = s;
}

static const struct raft_wire_ops wire = {.send = on_send};
static const struct raft_driver_ops ops = {on_wake, on_fatal, on_trace};

static void boot(struct driver_bed *b)
{
    struct raft_loaded loaded = {0};
    raft_memory_run(b->disk, b->now_ms);
    raft_memory_load(b->disk, &loaded);
    ASSERT(raft_driver_create(&b->options, &loaded, &b->driver, NULL) == 0);
}

static void open_with(struct driver_bed *b, struct raft_configuration *conf, uint64_t vote)
{
    *b = (struct driver_bed){.now_ms = 1000, .disk = raft_memory_create(1)};
    raft_memory_bootstrap(b->disk, conf);
    struct raft_storage storage = raft_memory_storage(b->disk);
    if (vote) {
        ASSERT(storage.ops->set_vote(storage.self, vote) == 0);
    }
    b->options = (struct raft_driver_options){
        .id = 1,
        .address = "one",
        .storage = storage,
        .now_ms = now_ms,
        .ops = &ops,
        .self = b,
        .seed = 7,
        .election_ms = 1000,
        .heartbeat_ms = 100,
        .capacity_kib_min = 1024,
        .snapshot_entries = 10,
        .snapshot_bytes = 1u << 30,
        .trailing = 4,
    };
    if (conf->n > 1) {
        b->options.wire = (struct raft_wire){&wire, b};
    }
    raft_configuration_close(conf);
    boot(b);
}

void driver_bed_open(struct driver_bed *b, unsigned n)
{
    static const char *const names[] = {"one", "two", "three", "four", "five"};
    struct raft_configuration conf = {0};
    raft_configuration_init(&conf);
    for (unsigned i = 0; i < n; i++) {
        ASSERT(raft_configuration_add(&conf, i + 1, names[i], RAFT_VOTER) == 0);
    }
    open_with(b, &conf, 0);
}

void driver_bed_open_as(struct driver_bed *b, int own, int other, uint64_t vote)
{
    struct raft_configuration conf = {0};
    raft_configuration_init(&conf);
    ASSERT(raft_configuration_add(&conf, 1, "one", own) == 0);
    ASSERT(raft_configuration_add(&conf, 2, "two", other) == 0);
    open_with(b, &conf, vote);
}

void driver_bed_restart(struct driver_bed *b)
{
    raft_memory_crash(b->disk);
    raft_driver_destroy(b->driver);
    boot(b);
}

void driver_bed_close(struct driver_bed *b)
{
    raft_memory_crash(b->disk);
    raft_driver_destroy(b->driver);
    raft_memory_destroy(b->disk);
}

void driver_bed_pass(struct driver_bed *b, unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        b->now_ms++;
        raft_memory_run(b->disk, b->now_ms);
        raft_driver_tick(b->driver);
    }
}

void driver_bed_append(struct driver_bed *b, uint64_t term, uint64_t prev_index, uint64_t prev_term,
                       uint64_t commit, unsigned n, const enum raft_entry_type *types)
{
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES, .server_id = 2, .server_address = "two"};
    struct raft_append_entries *a = &m.append_entries;
    *a = (struct raft_append_entries){.term = term,
                                      .prev_log_index = prev_index,
                                      .prev_log_term = prev_term,
                                      .leader_commit = commit,
                                      .n_entries = n};
    if (n > 0) {
        struct raft_configuration conf = {0};
        struct raft_buffer encoded = {0};
        raft_configuration_init(&conf);
        ASSERT(raft_configuration_add(&conf, 1, "one", RAFT_VOTER) == 0);
        ASSERT(raft_configuration_add(&conf, 2, "two", RAFT_VOTER) == 0);
        ASSERT(raft_configuration_encode(&conf, &encoded) == 0);
        a->entries = raft_calloc(n, sizeof *a->entries);
        char *batch = raft_calloc(n, encoded.len);
        for (unsigned i = 0; i < n; i++) {
            char *at = batch + i * encoded.len;
            bool is_change = types && types[i] == RAFT_CHANGE;
            struct raft_buffer buf = {at, is_change ? encoded.len : 8};
            if (is_change) {
                memcpy(at, encoded.base, encoded.len);
            }
            a->entries[i] = (struct raft_entry){term, types ? types[i] : RAFT_COMMAND, buf, batch};
        }
        raft_free(encoded.base);
        raft_configuration_close(&conf);
    }
    raft_driver_receive(b->driver, &m);
}

void driver_bed_install(struct driver_bed *b, uint64_t term, uint64_t index, uint64_t last_term)
{
    struct raft_message m = {
        .type = RAFT_INSTALL_SNAPSHOT, .server_id = 2, .server_address = "two"};
    m.install_snapshot = (struct raft_install_snapshot){
        .term = term, .last_index = index, .last_term = last_term, .conf_index = 1};
    raft_configuration_init(&m.install_snapshot.conf);
    ASSERT(raft_configuration_add(&m.install_snapshot.conf, 1, "one", RAFT_VOTER) == 0);
    ASSERT(raft_configuration_add(&m.install_snapshot.conf, 2, "two", RAFT_VOTER) == 0);
    m.install_snapshot.data = (struct raft_buffer){raft_calloc(1, 8), 8};
    raft_driver_receive(b->driver, &m);
}

static void vote_for_me(struct driver_bed *b, bool is_pre_vote, uint64_t term)
{
    struct raft_message m = {
        .type = RAFT_REQUEST_VOTE_RESULT, .server_id = 2, .server_address = "two"};
    m.request_vote_result = (struct raft_request_vote_result){.version = 2,
                                                              .term = term,
                                                              .vote_granted = true,
                                                              .pre_vote = is_pre_vote,
                                                              .features = 1,
                                                              .capacity = 60000};
    raft_driver_receive(b->driver, &m);
}

void driver_bed_lead(struct driver_bed *b)
{
    driver_bed_pass(b, 2100);
    uint64_t term = raft_driver_state(b->driver).term;
    ASSERT(raft_driver_state(b->driver).role == RAFT_CANDIDATE);
    vote_for_me(b, true, term);
    vote_for_me(b, false, term + 1);
    ASSERT(raft_driver_state(b->driver).role == RAFT_LEADER);
}

void driver_bed_ack(struct driver_bed *b, uint64_t id, uint64_t index)
{
    struct raft_message m = {.type = RAFT_APPEND_ENTRIES_RESULT,
                             .server_id = id,
                             .server_address = id == 2 ? "two" : "three"};
    m.append_entries_result =
        (struct raft_append_entries_result){.version = 2,
                                            .term = raft_driver_state(b->driver).term,
                                            .last_log_index = index,
                                            .features = 1,
                                            .capacity = 60000};
    raft_driver_receive(b->driver, &m);
}

unsigned driver_bed_sent(const struct driver_bed *b, enum raft_message_type type)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b->sent_count; i++) {
        n += b->sent[i].type == type;
    }
    return n;
}

unsigned driver_bed_stepped(const struct driver_bed *b, enum raft_event_type type)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b->events_count; i++) {
        n += b->events[i].type == type;
    }
    return n;
}

uint64_t driver_bed_take(struct driver_bed *b)
{
    struct raft_item item = {0};
    uint64_t last = 0;
    while (raft_driver_next(b->driver, &item)) {
        last = item.index;
    }
    return last;
}
