/* Opening what the core stands on: tables, features that live in them, the log. */
#include <stdio.h>
#include <unistd.h>

#include "cluster/pins.h"
#include "config/config.h"
#include "loop/loop.h"
#include "namespace/namespace.h"
#include "node/backup.h"
#include "node/core_state.h"
#include "node/filebytes.h"
#include "store/db_sqlite.h"

/* On a db thread: something is finished. A mailbox that is full has a turn coming anyway. */
static void wake_for_db(void *self)
{
    struct core *c = self;
    if (!atomic_exchange(&c->db_mail_out, true) && loop_post(c->loop, &c->db_mail.mail) != 0) {
        atomic_store(&c->db_mail_out, false);
    }
}

static void on_tables_fatal(void *self, const struct fail *why)
{
    struct core *c = self;
    c->options.on_fatal(c->options.self, why);
}

static size_t count_configs(void *self, struct span namespace_id)
{
    const struct core *c = self;
    return config_count_of(c->config, namespace_id);
}

static bool has_namespace(void *self, struct span id)
{
    const struct core *c = self;
    return namespace_exists(c->namespaces, id);
}

/* Open the tables and make the features that live in them. */
int core_open_tables(struct core *c, struct fail *fail)
{
    struct tables_options options = {
        .dir = c->options.dir,
        .memory_bytes = c->options.config.memory_bytes_max,
        .wake = wake_for_db,
        .on_fatal = on_tables_fatal,
        .self = c,
        .is_played = c->is_played,
    };
    int err = tables_create(&options, &c->tables, fail);
    if (err) {
        return err;
    }
    struct read_gate *gate = c->peers ? peering_gate(c->peers) : NULL;
    struct namespace_options namespaces = {.count_configs = count_configs, .self = c, .gate = gate};
    c->namespaces = namespace_create(&namespaces, tables_writer(c->tables));
    struct config_options config = c->options.config;
    config.namespace_exists = has_namespace;
    config.namespaces = c;
    config.gate = gate;
    config.tables_index = tables_index(c->tables);
    c->config = config_create(&config, c->view, tables_writer(c->tables));
    struct db *db = tables_db(c->tables);
    err = namespace_load_tables(c->namespaces, db, fail);
    if (!err) {
        err = config_load_tables(c->config, db, c->now, fail);
    }
    tables_loaded(c->tables);
    return err;
}

int core_replace_tables(struct core *c, const char *fresh, struct fail *fail)
{
    char path[FILEBYTES_PATH_MAX];
    snprintf(path, sizeof(path), "%s", tables_path(c->tables));
    tables_destroy(c->tables);
    c->tables = NULL;
    config_destroy(c->config);
    c->config = NULL;
    namespace_destroy(c->namespaces);
    c->namespaces = NULL;
    int err = db_sqlite_replace(path, fresh, fail);
    return err ? err : core_open_tables(c, fail);
}

/* Who a node alone is in its log (consensus_raft_options.id). */
#define ALONE_ID 1

/* The log continues what the tables hold; less of it than they hold is another log. */
int core_open_log(struct core *c, struct fail *fail)
{
    if (!c->peers && pins_are_there(c->options.dir)) {
        return fail_set(fail, E_CONFLICT,
                        "%s is the directory of a member of a cluster: start it with the list of "
                        "its members (--members, nacos.member.list), or take another directory",
                        c->options.dir);
    }
    char outgoing[FILEBYTES_PATH_MAX];
    char incoming[FILEBYTES_PATH_MAX];
    (void)snprintf(outgoing, sizeof(outgoing), "%s/" TABLES_OUTGOING, c->options.dir);
    (void)snprintf(incoming, sizeof(incoming), "%s/" TABLES_INCOMING, c->options.dir);
    struct consensus_raft_options options = {
        .dir = c->options.dir,
        .companion_out = outgoing,
        .companion_in = incoming,
        .loop = loop_uv(c->loop),
        .snapshot_entries = c->options.snapshot_entries,
        .trailing_entries = c->played.trailing_entries,
        .played = c->played.disk,
        .seed = c->played.seed,
    };
    if (c->peers && !peering_log_options(c->peers, &options)) {
        return 0; /* its members have to find each other first */
    }
    int err = consensus_create_raft(&options, &core_log_ops, c, &c->log, fail);
    if (err) {
        return err;
    }
    struct consensus_member first = {0};
    if (c->peers && consensus_members(c->log, &first, 1) == 1 && first.id == ALONE_ID) {
        return fail_set(fail, E_CONFLICT,
                        "%s is the directory of a node that was alone: give this member an empty "
                        "directory, and bring what is here with nacre backup and restore, or an "
                        "export",
                        c->options.dir);
    }
    if (c->peers) {
        (void)unlink(incoming); /* taken over, or of a transfer that came to nothing */
        peering_on_log(c->peers, c->now);
    }
    uint64_t last = consensus_state(c->log).last_index;
    uint64_t held = tables_index(c->tables);
    if (consensus_state(c->log).snapshot_index > 0) {
        backup_drop_base(c->options.dir);
    }
    if (held > last && !c->peers) { /* a follower may apply what its own disk does not have yet */
        return fail_set(fail, E_CORRUPT,
                        "%s stands at entry %llu, but the log in %s/log ends at entry %llu: the "
                        "log was removed or is an older copy; put the right one back, or restore a "
                        "backup",
                        tables_path(c->tables), (unsigned long long)held, c->options.dir,
                        (unsigned long long)last);
    }
    return 0;
}
