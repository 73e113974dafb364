/* The configuration centre's state: one item per config that exists or is listened to.
 *
 * The upper half of each struct is replicated: only apply.c (and config_load_tables) changes it.
 * The lower half is this node's own.
 *
 * Thread:  core only.
 * Owns:    everything. config_check() holds after every apply.
 * Limits:  CONFIG_ITEMS_MAX, gray_max, listens_max, polls_max: admit refuses beyond (E_LIMIT).
 */
#ifndef NACRE_CONFIG_STATE_H
#define NACRE_CONFIG_STATE_H

#include "base/deadline.h"
#include "base/hash.h"
#include "config/config.h"
#include "config/config_key.h"
#include "config/config_value.h"

#include <uthash.h>

#define CONFIG_ITEMS_MAX 2000000

struct audience;    /* listen.h: who listens to an item */
struct poll_key;    /* poll.h: a held long poll that names it */
struct load;        /* load.h: its content is on its way from the tables */
struct listen_conn; /* listen.h */
struct poll;        /* poll.h */

/* There are very many of these: the key is not spans but the cuts of its text. */
struct item {
    /* replicated */
    uint64_t id;                /* of the formal version (config_info.id); 0: none */
    struct config_value *value; /* a reference; NULL: neither a formal nor a gray version */
    UT_hash_handle hh;          /* in config->items, by the view key */
    /* this node's own */
    struct audience *listeners;           /* listen.h; NULL: nobody listens */
    struct poll_key *polls;               /* poll.h */
    struct load *load;                    /* load.h */
    struct item *cache_prev, *cache_next; /* cache.h: the ring of items with content in memory */
    uint32_t dirty; /* writes of this item that are not in the tables yet: its content stays */
    uint16_t text_len;
    uint8_t tenant_len, group_len;
    char text[]; /* the view key */
};

/* The item's key; spans into its text, which stays as long as the item. */
static inline struct config_key item_key(const struct item *i)
{
    const char *group = i->text + i->tenant_len + 1;
    const char *data_id = group + i->group_len + 1;
    return (struct config_key){
        .tenant = span_of(i->text, i->tenant_len),
        .group = span_of(group, i->group_len),
        .data_id = span_of(data_id, (size_t)(i->text + i->text_len - data_id)),
    };
}

/* Configs of one tenant. */
struct tenant_count {
    size_t count;
    UT_hash_handle hh;
    size_t len;
    char tenant[];
};

struct config {
    struct config_options options;
    struct config_edge edge;
    struct view *view;
    struct table_writer *tables;
    struct config_counters counters;
    /* replicated */
    struct item *items;          /* uthash */
    struct tenant_count *counts; /* uthash by tenant */
    size_t formal_count, gray_count;
    uint64_t last_id;  /* last config id given */
    uint64_t last_nid; /* last history id given */
    uint64_t digest;   /* config_digest.h */
    /* this node's own */
    uint64_t index; /* the entry that is being applied, or at which the tables stand that are being
                       loaded; 0: neither, what is put in place is what was there */
    struct item *cache_hand;   /* cache.h */
    size_t cache_count;        /* items in the ring */
    uint64_t content_bytes;    /* in memory, of all items */
    struct listen_conn *conns; /* listen.h: uthash by conn */
    size_t listen_count;
    struct audience *due;     /* listen.h: list; some of theirs are told at the end of the turn */
    struct deadlines notices; /* listen.h: when they are repeated */
    uint64_t request_id;      /* last one drawn for a notice */
    struct poll *polls;       /* poll.h: list */
    size_t poll_count;
    size_t poll_key_count;          /* poll.h: keys of all of them */
    struct deadlines poll_ends;     /* poll.h */
    struct load *loads_ended;       /* load.h: list, filled by db jobs' done */
    struct clone *clones_ended;     /* import.h: list, filled by db jobs' done */
    struct removal *removals_ended; /* remove_ids.h: the same */
    struct query *queries;          /* config_query.h: they wait for the one that is out */
    size_t queries_count;
    bool is_query_out;
    struct import_job *imports; /* import.h: list; the log has a piece of each */
    uint64_t import_bytes;      /* import.h: contents of these */
    unsigned clones_out;        /* import.h: whose job has not ended */
    bool imports_stopped;       /* import.h: config_stop was called */
    uint64_t trim_next_ms; /* config.c: when old history is looked for; 0: after a first minute */
    bool cache_more;       /* cache.h: the last trim did not come to its end */
};

/* Find; NULL when unknown. */
struct item *item_find(struct config *c, const struct config_key *k);

/* Find or make (the key passed config_key_check). */
struct item *item_obtain(struct config *c, const struct config_key *k);

/* Free it when nothing holds it: no version, no listener, no poll, no load, not dirty. Returns true
 * when freed. */
bool item_release(struct config *c, struct item *i);

/* Its formal version has this id from now on; 0: none. The digest follows. */
void item_set_id(struct config *c, struct item *i, uint64_t id);

/* The item's value is now value (takes the reference; NULL: none): counts, content bytes, the ring,
 * the digest and the view follow. */
void item_set_value(struct config *c, struct item *i, struct config_value *take_value,
                    struct now now);

/* Check every invariant; aborts on a violation. Tests. */
void config_check(const struct config *c);

#endif
