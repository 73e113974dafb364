/* The list of members: where it comes from at the start, and cluster.conf watched from then on.
 *
 * The file is looked at when the list came from it, or when nothing that counts before it was given
 * (members_choose): a file that appears later counts before nacos.member.list as it would have at
 * the start. What is wrong with it is logged once, and the last good list stays.
 *
 * Thread:  main.
 * Owns:    what is embedded. Borrows: the options.
 * Limits:  a look each MEMBER_FILE_LOOK_MS; it opens one file and reads it when it has changed.
 * Source:  semantics.md 4.2.
 */
#ifndef NACRE_NODE_MEMBER_WATCH_H
#define NACRE_NODE_MEMBER_WATCH_H

#include "cluster/member_file.h"
#include "node/options.h"

/* Embedded. list is the one of the start. Plain data. */
struct member_watch {
    const char *path;
    struct member_list list;
    struct member_file file;
    bool is_watching;
};

/* Read the list from the first source that names any member; none is an empty list. A file that is
 * not there is fine, one that is wrong is not.
 * E_IO, E_PARSE, E_LIMIT  with source, line and what was expected */
MUST_USE int member_watch_open(struct member_watch *w, const struct options *options,
                               uint64_t now_ms, struct fail *fail);

/* Look when it is due. A list that is new, borrowed until the next look; NULL: nothing changed. */
const struct member_list *member_watch_look(struct member_watch *w, uint64_t now_ms);

#endif
