#include "node/members_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json_out.h"
#include "base/mem.h"
#include "node/core_state.h"
#include "node/peering_digest.h"

#define TEXT_MAX (64u << 10) /* 33 members of less than a kilobyte */
#define JSON_HINT 1024
#define CELL_MAX 24
#define SECOND_MS 1000
#define SILENT_MS 1000 /* some heartbeats of the leader that were not answered */

/* ---------------------------------------------------------------- looking */

static void view_alone(struct members_view *v)
{
    struct member_view *m = &v->list[0];
    v->is_alone = true;
    m->is_self = m->is_up = m->is_server = m->is_voter = true;
    m->is_leader = v->log.role == CONSENSUS_LEADER;
    snprintf(m->words, sizeof(m->words), "alone");
    snprintf(m->release, sizeof(m->release), NACRE_VERSION);
    v->count = 1;
}

static void add_log(const struct core *c, const struct members_view *v, struct member_view *m)
{
    struct consensus_member servers[CONSENSUS_MEMBERS_MAX];
    unsigned count = c->log ? consensus_members(c->log, servers, CONSENSUS_MEMBERS_MAX) : 0;
    m->lag = UINT64_MAX;
    m->silent_ms = UINT64_MAX;
    for (unsigned i = 0; i < count; i++) {
        if (servers[i].id != node_id_number(&m->id)) {
            continue;
        }
        m->is_leader = servers[i].is_leader;
        m->silent_ms = servers[i].silent_ms;
        if (v->log.role == CONSENSUS_LEADER) {
            uint64_t match = servers[i].is_self ? v->log.last_index : servers[i].match_index;
            m->lag = v->log.last_index > match ? v->log.last_index - match : 0;
        }
    }
}

void members_view_take(const struct core *c, struct now now, struct members_view *ret)
{
    struct membership_status status[MEMBERS_MAX + 1];
    *ret = (struct members_view){.log = core_log_state(c)};
    if (!c->peers) {
        view_alone(ret);
        return;
    }
    size_t count = membership_status(peering_membership(c->peers), status, MEMBERS_MAX + 1, now);
    for (size_t i = 0; i < count; i++) {
        struct member_view *m = &ret->list[ret->count++];
        snprintf(m->host, sizeof(m->host), "%s", status[i].host);
        snprintf(m->words, sizeof(m->words), "%s", status[i].words);
        snprintf(m->release, sizeof(m->release), "%s", status[i].release);
        m->port = status[i].port;
        m->id = status[i].id;
        m->is_self = status[i].is_self;
        m->is_up = status[i].is_up;
        m->is_server = status[i].is_server;
        m->is_voter = status[i].is_voter;
        m->diverged_index = peering_digest_diverged(c->peers, node_id_number(&m->id));
        add_log(c, ret, m);
    }
}

const char *member_view_state(const struct member_view *m, const struct members_view *all)
{
    if (m->is_self) {
        return all->log.is_ready ? "UP" : "STARTING";
    }
    return m->is_up ? "UP" : "DOWN";
}

const char *member_view_role(const struct member_view *m)
{
    if (m->is_leader) {
        return "leader";
    }
    if (m->is_voter) {
        return "follower";
    }
    return m->is_server ? "learner" : "none";
}

/* ---------------------------------------------------------------- telling */

struct text {
    char *data;
    size_t len;
};

/* What does not fit is cut. */
__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    va_list args;
    size_t room = TEXT_MAX - t->len;
    va_start(args, format);
    int n = vsnprintf(t->data + t->len, room, format, args);
    va_end(args);
    t->len += n < 0 ? 0 : ((size_t)n < room ? (size_t)n : room - 1);
}

/* The address of the first member that fn accepts, or "". */
static void find_address(const struct members_view *v, bool (*fn)(const struct member_view *m),
                         char dst[MEMBER_ADDRESS_MAX + 1])
{
    dst[0] = '\0';
    for (size_t i = 0; i < v->count && dst[0] == '\0'; i++) {
        if (fn(&v->list[i]) && v->list[i].port != 0) {
            member_address(v->list[i].host, v->list[i].port, dst);
        }
    }
}

static bool is_leader(const struct member_view *m)
{
    return m->is_leader;
}

static bool is_self(const struct member_view *m)
{
    return m->is_self;
}

/* Its link is up, and it does not answer the leader: stopped, or cut off a moment ago. */
static bool is_silent(const struct member_view *m, const struct members_view *v)
{
    return v->log.role == CONSENSUS_LEADER && m->is_server && !m->is_self && m->is_up &&
           m->silent_ms != UINT64_MAX && m->silent_ms >= SILENT_MS;
}

static void count_voters(const struct members_view *v, unsigned *ret_voters, unsigned *ret_up)
{
    *ret_voters = 0;
    *ret_up = 0;
    for (size_t i = 0; i < v->count; i++) {
        *ret_voters += v->list[i].is_voter;
        *ret_up += v->list[i].is_voter && v->list[i].is_up && !is_silent(&v->list[i], v);
    }
}

static void put_line(struct text *t, const struct member_view *m, const struct members_view *v,
                     int width)
{
    char address[MEMBER_ADDRESS_MAX + 1];
    char lag[CELL_MAX] = "-";
    char contact[CELL_MAX] = "-";
    member_address(m->host, m->port, address);
    if (m->lag != UINT64_MAX) {
        snprintf(lag, sizeof(lag), "%llu", (unsigned long long)m->lag);
    }
    if (m->silent_ms != UINT64_MAX && !m->is_self) {
        bool is_long = m->silent_ms >= SECOND_MS;
        snprintf(contact, sizeof(contact), "%llu %s",
                 (unsigned long long)(is_long ? m->silent_ms / SECOND_MS : m->silent_ms),
                 is_long ? "s" : "ms");
    }
    const char *own = v->log.is_ready ? "up" : "starting";
    put(t, "%-*s  %-8s  %8s  %12s  %-9s  %s", width, address, member_view_role(m), lag, contact,
        m->release[0] ? m->release : "-", m->is_self ? own : m->words);
    if (is_silent(m, v)) {
        put(t, ", but silent");
    }
    if (m->diverged_index > 0) {
        put(t, "; its state is not the others' since entry %llu",
            (unsigned long long)m->diverged_index);
    }
    put(t, "\n");
}

static void put_verdict(struct text *t, const struct members_view *v)
{
    unsigned voters = 0;
    unsigned up = 0;
    count_voters(v, &voters, &up);
    unsigned needed = voters / 2 + 1;
    if (voters == 0) {
        put(t, "There is no cluster yet.\n");
    } else if (up < needed) {
        put(t, "%u of %u members that vote are up, %u are needed: nothing can be written.\n", up,
            voters, needed);
    } else {
        put(t, "%u of %u members that vote are up; %u more may fail.\n", up, voters, up - needed);
    }
}

static void put_table(struct text *t, const struct members_view *v)
{
    char leader[MEMBER_ADDRESS_MAX + 1];
    char self[MEMBER_ADDRESS_MAX + 1];
    int width = (int)sizeof("ADDRESS") - 1;
    find_address(v, is_leader, leader);
    find_address(v, is_self, self);
    put(t, "%s%s, term %llu, entry %llu; as %s sees it\n\n", leader[0] ? "leader " : "no leader",
        leader, (unsigned long long)v->log.term, (unsigned long long)v->log.last_index,
        self[0] ? self : "this node");
    for (size_t i = 0; i < v->count; i++) {
        char address[MEMBER_ADDRESS_MAX + 1];
        member_address(v->list[i].host, v->list[i].port, address);
        int len = (int)strlen(address);
        width = len > width ? len : width;
    }
    put(t, "%-*s  %-8s  %8s  %12s  %-9s  %s\n", width, "ADDRESS", "ROLE", "LAG", "LAST CONTACT",
        "VERSION", "STATE");
    for (size_t i = 0; i < v->count; i++) {
        put_line(t, &v->list[i], v, width);
    }
    put(t, "\n");
    put_verdict(t, v);
}

struct buf *members_view_text(const struct members_view *v)
{
    struct text t = {mem_alloc(TEXT_MAX), 0};
    if (v->is_alone) {
        put(&t,
            "This node is alone: it was started without a list of members (cluster.conf,\n"
            "nacos.member.list, NACOS_SERVERS, --members). Term %llu, entry %llu.\n",
            (unsigned long long)v->log.term, (unsigned long long)v->log.last_index);
    } else {
        put_table(&t, v);
    }
    return buf_take(t.data, t.len);
}

static void put_member(struct json_out *j, const struct member_view *m,
                       const struct members_view *v)
{
    char address[MEMBER_ADDRESS_MAX + 1];
    char id[NODE_ID_TEXT + 1] = "";
    member_address(m->host, m->port, address);
    json_object(j);
    json_kstr(j, "address", span_str(address));
    json_kstr(j, "role", span_str(member_view_role(m)));
    json_kstr(j, "state", span_str(member_view_state(m, v)));
    json_kbool(j, "votes", m->is_voter);
    if (node_id_is_set(&m->id)) {
        node_id_text(&m->id, id);
        json_kstr(j, "id", span_str(id));
    }
    if (m->lag != UINT64_MAX) {
        json_kint(j, "lagEntries", (int64_t)m->lag);
    }
    if (m->silent_ms != UINT64_MAX) {
        json_kint(j, "lastContactMs", (int64_t)m->silent_ms);
    }
    if (m->diverged_index > 0) {
        json_kint(j, "divergedIndex", (int64_t)m->diverged_index);
    }
    json_kstr(j, "version", span_str(m->release));
    json_kstr(j, "words", span_str(m->is_self ? "" : m->words));
    json_object_end(j);
}

struct buf *members_view_json(const struct members_view *v)
{
    char leader[MEMBER_ADDRESS_MAX + 1];
    char self[MEMBER_ADDRESS_MAX + 1];
    struct json_out j;
    json_init(&j, JSON_HINT);
    find_address(v, is_leader, leader);
    find_address(v, is_self, self);
    json_object(&j);
    json_kbool(&j, "alone", v->is_alone);
    json_kstr(&j, "leader", span_str(leader));
    json_kstr(&j, "seenBy", span_str(self));
    json_kint(&j, "term", (int64_t)v->log.term);
    json_kint(&j, "lastIndex", (int64_t)v->log.last_index);
    json_kint(&j, "appliedIndex", (int64_t)v->log.applied_index);
    json_key(&j, "members");
    json_array(&j);
    for (size_t i = 0; i < v->count && !v->is_alone; i++) {
        json_bytes(&j, SPAN("\n")); /* a line a member: people read it, too */
        put_member(&j, &v->list[i], v);
    }
    json_array_end(&j);
    json_object_end(&j);
    return json_take(&j);
}
