/* What this node remembers about its cluster between two lives: who its peers are (a member slot is
 * pinned to a key), how far its own membership has got, and what it has promised.
 *
 * The text is for reading, not for editing: a sum at its end tells damage. It holds no secret, but
 * it decides whom the node trusts, so it is closed to others.
 *
 * Thread:  pins_encode, pins_decode: any. pins_read, pins_write: one that may block (main, db).
 * Owns:    nothing; struct pins is plain data.
 * Limits:  PINS_MAX pins, PINS_BYTES_MAX bytes.
 * Files:   DIR/peers (0600); written as peers.new, synced, renamed, directory synced.
 * Source:  peer-security.md 5 ("store pins durably before using them to vote"), consensus.md 8.4.
 */
#ifndef NACRE_CLUSTER_PINS_H
#define NACRE_CLUSTER_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "cluster/identity.h"
#include "cluster/members.h"

#define PINS_MAX 33 /* every slot, and this node */
#define PINS_BYTES_MAX (32u << 10)
#define PINS_NAME "peers"
#define CLUSTER_ID_BYTES 16
#define FORM_BYTES 32 /* a digest of a first configuration (membership_form.h) */

/* How far this node has got. Numbers stand in the file. */
enum pins_stage {
    PINS_NEW,     /* never had a log */
    PINS_FORMING, /* is about to make a log with the first configuration that it agreed to */
    PINS_JOINING, /* is about to make an empty log, because a leader takes it in */
    PINS_MEMBER,  /* has a log: when it is gone this node must not come back under its key */
};

struct pin {
    unsigned slot;
    struct node_id id;
    uint64_t
        generation; /* that the member's promise named, when it was in the first configuration */
    char host[MEMBER_HOST_MAX + 1];
    uint16_t port; /* main */
    bool is_self;  /* this node's own line, for the first configuration */
};

struct pins {
    enum pins_stage stage;
    uint64_t generation;                  /* of this node's promises; 0: not chosen yet */
    uint8_t cluster_id[CLUSTER_ID_BYTES]; /* all zero: none yet */
    uint8_t agreed[FORM_BYTES];           /* the first configuration that is promised; zero: none */
    size_t count;
    struct pin list[PINS_MAX];
};

/* The file's text. */
MUST_USE struct buf *pins_encode(const struct pins *pins);

/* E_CORRUPT  not such a text, or damaged: says the line and what to do. name: for the sentence. */
MUST_USE int pins_decode(const char *name, struct span text, struct pins *ret, struct fail *fail);

/* DIR/peers. No file: empty pins, *ret_is_there false.
 * E_IO  it cannot be read   E_CORRUPT  as pins_decode */
MUST_USE int pins_read(const char *dir, struct pins *ret, bool *ret_is_there, struct fail *fail);

/* There is a DIR/peers: this is the directory of a member of a cluster, or was about to be. */
bool pins_are_there(const char *dir);

/* Write it durably. E_IO  not done; the old file is as it was   E_FULL  no room */
MUST_USE int pins_write(const char *dir, struct span text, struct fail *fail);

#endif
