/* cluster.conf, watched: when its content changes there is a new list; when it cannot be read or is
 * wrong the last good list stays, and the reason is told once per content.
 *
 * Looking is divided so that the core never blocks: member_file_due says when (core's clock),
 * member_file_look stats and reads (a thread that may block; the text is read only when size, time
 * or inode changed), member_file_take judges (core). No inotify: mounted files are replaced by
 * rename behind links (container volumes), which it does not see.
 *
 * Thread:  member_file_look: db or main. The rest: core (asserted nowhere: plain data, one owner).
 * Owns:    what is embedded.
 * Limits:  MEMBERS_TEXT_MAX bytes; looked at every MEMBER_FILE_LOOK_MS.
 * Source:  semantics.md 4.2 (Nacos watches conf/cluster.conf; a file that becomes empty counts as
 *          absent). DIFF(member-file-kept): the file is never written.
 */
#ifndef NACRE_CLUSTER_MEMBER_FILE_H
#define NACRE_CLUSTER_MEMBER_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fail.h"
#include "base/macros.h"
#include "cluster/members.h"

#define MEMBER_FILE_LOOK_MS 1000
#define MEMBER_FILE_WAIT_MS 30000 /* for a look that does not come back, then another */

/* What the file system said: compared only. Plain data. */
struct member_stamp {
    int64_t size;
    int64_t mtime_ns;
    int64_t ctime_ns;
    uint64_t inode;
    bool is_there;
    bool is_known; /* false: look at the content whatever the rest says */
};

/* One look. Plain data; text is owned. */
struct member_look {
    struct member_stamp stamp;
    bool is_read;     /* text and fail say what was found; false: nothing changed */
    struct buf *text; /* NULL: no file, or fail */
    struct fail fail; /* code 0: none */
};

enum member_file_news {
    MEMBER_FILE_SAME,    /* nothing to do */
    MEMBER_FILE_CHANGED, /* member_file_list is new */
    MEMBER_FILE_BAD,     /* the last good list stays; *fail is worth telling, once */
};

/* Embedded; member_file_init makes it, nothing to close. */
struct member_file {
    struct member_list list;
    bool has_list;
    uint16_t port_default;
    uint64_t due_ms; /* monotonic */
    uint64_t told;   /* hash of the content that was last told to be wrong; 0: none */
    struct member_stamp stamp;
    char name[64]; /* for sentences: the path's end */
};

/* list: what the node runs with now (from whichever source), NULL for none. name: of the file, for
 * sentences. */
void member_file_init(struct member_file *f, const char *name, const struct member_list *list,
                      uint16_t port_default, uint64_t now_ms);

/* True once per look: the caller has member_file_look run with f->stamp and its result taken. */
bool member_file_due(struct member_file *f, uint64_t now_ms);

/* Monotonic ms of the next look. */
uint64_t member_file_deadline(const struct member_file *f);

/* Stat the file, and read it when it is not what known says. Blocks. */
void member_file_look(const char *path, const struct member_stamp *known, struct member_look *ret);

/* Judge a look; takes its text. CHANGED: f->list is the new list. BAD: *fail says why. */
enum member_file_news member_file_take(struct member_file *f, struct member_look *take_look,
                                       uint64_t now_ms, struct fail *fail);

#endif
