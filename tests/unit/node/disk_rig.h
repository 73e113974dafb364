/* A core on a directory of its own: log, tables, everything; stopped and started again on it.
 *
 * Thread:  the test's own. What does not come within WAIT_S seconds fails the test.
 */
#ifndef NACRE_TESTS_NODE_DISK_RIG_H
#define NACRE_TESTS_NODE_DISK_RIG_H

#include "core_rig.h"

#include <ftw.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "config/admit.h"
#include "naming/state.h"
#include "node/peering.h"

struct disk {
    char dir[64];
    struct core *core; /* NULL: not running */
    sem_t ready;
    unsigned snapshot_entries;
    const struct peering_options *peers; /* NULL: alone */
    unsigned restarts;                   /* asked for */
    bool may_die;
    unsigned fatals; /* of one that may die */
};

static inline void disk_on_ready(void *self)
{
    struct disk *d = self;
    assert_int_equal(sem_post(&d->ready), 0);
}

static inline void disk_on_fatal(void *self, const struct fail *why)
{
    struct disk *d = self;
    d->fatals++;
    if (!d->may_die) {
        fail_msg("fatal: %s", fail_text(why));
    }
}

static inline void disk_on_restart(void *self)
{
    struct disk *d = self;
    d->restarts++;
}

static inline void disk_init(struct disk *d)
{
    *d = (struct disk){.dir = "/tmp/nacre-core-XXXXXX"};
    assert_non_null(mkdtemp(d->dir));
    assert_int_equal(sem_init(&d->ready, 0, 0), 0);
    log_set_level(LOG_LEVEL_ERROR);
}

/* Wait until it serves. */
static inline void disk_await(struct disk *d)
{
    struct timespec until = {0};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    assert_int_equal(sem_timedwait(&d->ready, &until), 0);
}

/* Start; 0, else why it does not. It does not serve yet. */
static inline int disk_begin(struct disk *d, struct fail *fail)
{
    struct core_options options = rig_options();
    options.naming.restart_grace_ms = 60000;
    options.config = (struct config_options){
        .memory_bytes_max = 1u << 20,
        .content_chars_max = 10485760,
        .gray_max = 10,
        .notify_retry_ms = 1000,
        .notify_tries_max = 50,
        .poll_hold_least_ms = 10000,
        .polls_max = 100,
        .listens_max = 1000,
    };
    options.dir = d->dir;
    options.snapshot_entries = d->snapshot_entries;
    options.peers = d->peers;
    options.on_restart = disk_on_restart;
    options.on_ready = disk_on_ready;
    options.on_fatal = disk_on_fatal;
    options.self = d;
    int err = core_create(&options, &d->core, fail);
    if (err) {
        d->core = NULL;
        return err;
    }
    assert_int_equal(core_start(d->core, NULL, fail), 0);
    return 0;
}

/* Start; 0 when it serves, else why it does not. */
static inline int disk_start(struct disk *d, struct fail *fail)
{
    int err = disk_begin(d, fail);
    if (!err) {
        disk_await(d);
    }
    return err;
}

static inline void disk_stop(struct disk *d)
{
    core_stop(d->core);
    core_destroy(d->core);
    d->core = NULL;
}

static inline int disk_remove_one(const char *path, const struct stat *st, int kind,
                                  struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline void disk_remove(const char *path)
{
    assert_int_equal(nftw(path, disk_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void disk_close(struct disk *d)
{
    if (d->core) {
        disk_stop(d);
    }
    disk_remove(d->dir);
    assert_int_equal(sem_destroy(&d->ready), 0);
}

/* The path of a file in it. */
static inline const char *disk_path(const struct disk *d, const char *name, char dst[128])
{
    snprintf(dst, 128, "%s/%s", d->dir, name);
    return dst;
}

struct disk_publish {
    const char *data_id;
    const char *content;
};

static inline int disk_admit(void *self, struct api_call *call, struct now now, struct outbox *out,
                             struct fail *fail)
{
    const struct disk_publish *p = call->msg;
    struct config_form form = {
        .key = {.group = SPAN("g"), .data_id = span_str(p->data_id)},
        .content = span_str(p->content),
    };
    struct config_publish publish = {0};
    struct config_actor who = {.user = SPAN("u"), .ip = SPAN("192.0.2.1")};
    int err = config_form_check(&form, 10485760, &call->arena, &publish, fail);
    api_answer_text(call, SPAN("true"));
    return err ? err : config_admit_publish(self, &publish, &who, call, now, out, fail);
}

/* Publish in group g and wait for the answer: 0 or the code. */
static inline int disk_publish(struct disk *d, const char *data_id, const char *content)
{
    static const struct api_row row = {.name = "publish", .admit = disk_admit};
    struct disk_publish p = {data_id, content};
    struct rig_call c;
    rig_call_open(&c, &row, core_config(d->core));
    c.call.msg = &p;
    rig_post(d->core, &c);
    assert_int_equal(rig_wait(&c), 1);
    int err = c.call.reply.fail.code;
    rig_call_close(&c);
    return err;
}

/* Register a persistent instance of service s on this port and wait for the answer. */
static inline void disk_register(struct disk *d, unsigned port)
{
    size_t count = 0;
    const struct api_row *rows = naming_rpc_rows(&count);
    const struct api_row *row = NULL;
    for (size_t i = 0; i < count; i++) {
        row = strcmp(rows[i].name, "PersistentInstanceRequest") == 0 ? &rows[i] : row;
    }
    if (!row) {
        abort(); /* the registry has that row */
    }
    char json[256];
    snprintf(json, sizeof(json),
             "{\"serviceName\":\"s\",\"groupName\":\"G\",\"type\":\"registerInstance\","
             "\"instance\":{\"ip\":\"192.0.2.9\",\"port\":%u,\"ephemeral\":false}}",
             port);
    struct rig_call c;
    struct fail fail = {0};
    rig_call_open(&c, row, core_naming(d->core));
    assert_int_equal(row->decode_rpc(&c.call, span_str(json), &fail), 0);
    rig_post(d->core, &c);
    assert_int_equal(rig_wait(&c), 1);
    assert_int_equal(c.call.reply.fail.code, 0);
    rig_call_close(&c);
}

/* What it holds, seen on its own thread. */
struct disk_sight {
    size_t configs, instances;
    struct consensus_state log;
};

static inline void disk_look_now(struct core *core, void *arg)
{
    struct disk_sight *s = arg;
    naming_check(core_naming(core));
    config_check(core_config(core));
    s->configs = config_stats(core_config(core)).configs;
    s->instances = naming_stats(core_naming(core)).instances;
    s->log = core_log_state(core);
}

static inline struct disk_sight disk_look(struct disk *d)
{
    struct disk_sight s = {0};
    rig_look(d->core, disk_look_now, &s);
    return s;
}

#endif
