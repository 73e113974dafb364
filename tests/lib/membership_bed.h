/* Memberships played against each other: addresses, links as rpc/links makes them (keys learned by
 * dialling, strangers refused, streams that break), disks, and as much of a log as membership sees
 * (who leads, the configuration, one change at a time). Virtual time, one seed.
 *
 * Thread:  the test's, which becomes core.
 * Rule:    every form() is recorded; bed_check asserts that at most one cluster can have a quorum.
 */
#ifndef NACRE_TESTS_MEMBERSHIP_BED_H
#define NACRE_TESTS_MEMBERSHIP_BED_H

#include "cluster/hello.h"
#include "cluster/membership.h"

#define BED_NODES 8
#define BED_STEP_MS 10
#define BED_FORMS 64
#define BED_MAIL 512

/* The log's configuration as a node has it. */
struct bed_config {
    unsigned version;
    size_t count;
    struct {
        uint64_t number;
        char address[MEMBERSHIP_ADDRESS_MAX + 1];
        bool is_voter;
    } server[MEMBERS_MAX];
};

struct bed_link {
    bool is_used;
    char host[MEMBER_HOST_MAX + 1];
    struct node_id pin;
    bool is_up;
    unsigned peer; /* while up */
    uint64_t dial_ms;
};

struct bed_node {
    struct node_id id;
    char host[32]; /* its address */
    char also[32]; /* another one that leads to it, or "" */
    char list[256];
    bool is_alive;
    bool is_stranger; /* answers with a key, never says hello */
    unsigned lives;
    struct membership *m;
    struct membership_options options; /* secret, repin, is_forced are the test's */

    /* Its disk. */
    struct pins pins;
    bool has_log;
    struct bed_config config;

    struct bed_link link[MEMBERS_MAX];
    bool is_leader_told;
    uint64_t leader_told;
    unsigned version_told;

    /* What it did, over all lives of this key. */
    unsigned forms, joins, changes, refusals;
    bool may_take; /* join was called: an empty log is there */
    struct membership_change change;
    uint64_t change_ms; /* 0: none is being made */
    struct fail refusal;
    char said[8][FAIL_TEXT_MAX];
    unsigned said_count;
};

struct bed_form {
    unsigned made; /* by so many keys */
    struct node_id by[BED_NODES * 4];
    size_t count;
    uint64_t number[MEMBERS_MAX];
};

enum bed_mail_kind { BED_SELF, BED_LEARNED, BED_UP, BED_DOWN, BED_HELLO, BED_SAVED, BED_FORMED };

struct bed_mail {
    enum bed_mail_kind kind;
    uint64_t at_ms;
    uint64_t order;
    unsigned to;
    unsigned life; /* of the receiver */
    unsigned slot;
    struct node_id id;
    struct buf *bytes;
    uint64_t version;
    struct pins *pins;         /* owned */
    struct bed_config *config; /* owned */
    bool is_used;
};

struct bed {
    uint64_t seed;
    struct now now;
    size_t count;
    struct bed_node node[BED_NODES];
    bool is_cut[BED_NODES][BED_NODES]; /* from, to */
    unsigned break_per_mille;          /* streams that break, per stream and second */
    struct bed_form form[BED_FORMS];
    size_t form_count;
    struct bed_mail *mail;
    size_t mail_top; /* none is used from here on */
    uint64_t mail_order;
    uint64_t last_ms[BED_NODES][BED_NODES]; /* frames of a pair arrive in order */
    uint64_t inbox_ms[BED_NODES];           /* and so does what links report */
    bool no_hairpin;                        /* nobody reaches its own address */
};

void bed_init(struct bed *b, uint64_t seed);
void bed_close(struct bed *b);

/* A node with a fresh key at an address, not started. list: its list of members. */
unsigned bed_add(struct bed *b, const char *host, const char *list);

/* count nodes n0.. that list each other; none started. */
void bed_cluster(struct bed *b, unsigned count);

void bed_start(struct bed *b, unsigned i);
void bed_start_all(struct bed *b);

/* kill -9: what was not on disk is lost. */
void bed_kill(struct bed *b, unsigned i);

/* Its data directory is empty: another key. It must not run. */
void bed_wipe(struct bed *b, unsigned i);

/* j starts with a copy of i's data directory. */
void bed_copy(struct bed *b, unsigned i, unsigned j);

void bed_set_list(struct bed *b, unsigned i, const char *list);
void bed_cut(struct bed *b, unsigned i, unsigned j, bool is_cut);
void bed_cut_off(struct bed *b, unsigned i, bool is_cut);

void bed_run(struct bed *b, uint64_t ms);

/* Random below n. */
uint64_t bed_random(struct bed *b, uint64_t n);

/* The node that leads most; BED_NODES: none. */
unsigned bed_leader(struct bed *b);

/* All running nodes are members of one cluster of count servers that all vote and have a leader. */
bool bed_is_whole(struct bed *b, unsigned count);

/* Run until that is so. */
void bed_until_whole(struct bed *b, unsigned count, uint64_t ms_max);

/* No two configurations were made by a majority of their own members. */
void bed_check(struct bed *b);

/* Something that was said contains words. */
bool bed_has_said(const struct bed *b, unsigned i, const char *words);

/* State of host as node i tells it; aborts the test when i does not know that address. */
struct membership_status bed_status(struct bed *b, unsigned i, const char *host);

#endif
