/* The list of members as people write it: cluster.conf, nacos.member.list, NACOS_SERVERS,
 * --members.
 *
 * One syntax for all of them: entries separated by line ends, commas or blanks; "#" begins a
 * comment up to the end of the line. An entry is host, host:port, [ipv6]:port or an IPv6 address
 * without a port; "?raft_port=..." and whatever else follows a "?" is ignored. Names need not
 * resolve.
 *
 * A host is compared in its canonical form: lower case, no trailing dot, addresses as inet_ntop
 * writes them, an IPv4 address inside IPv6 as IPv4. An entry that is there twice is kept once.
 *
 * DIFF(member-syntax): Nacos refuses suffixes and compares hosts byte by byte.
 *
 * Thread:  any; functions of their arguments.
 * Owns:    nothing; struct member_list is plain data.
 * Limits:  MEMBERS_MAX entries, MEMBERS_TEXT_MAX bytes; a main port of 1..MEMBER_PORT_MAX (the port
 *          of peers, + 1001, has to fit).
 * Source:  semantics.md 4.2 (Nacos 2.5.1 core/.../cluster/MemberUtil.java).
 */
#ifndef NACRE_CLUSTER_MEMBERS_H
#define NACRE_CLUSTER_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define MEMBERS_MAX 32
#define MEMBERS_TEXT_MAX (64u << 10)
#define MEMBER_HOST_MAX 249 /* bytes: with its port it is an address of the log (255) */
#define MEMBER_ADDRESS_MAX (MEMBER_HOST_MAX + 6) /* host:port; [ipv6]:port is far shorter */
#define MEMBER_PORT_MAX (65535 - 1001)
#define MEMBER_PORT_DEFAULT 8848
#define MEMBERS_HASH_BYTES 32

/* One entry. */
struct member {
    char
        written[MEMBER_ADDRESS_MAX + 1]; /* as people wrote it, without a suffix; cut when longer */
    char host[MEMBER_HOST_MAX + 1];      /* canonical; IPv6 without brackets */
    uint16_t port;                       /* main */
    unsigned line;                       /* of the text, from 1 */
};

/* Sorted by host and port, so that the order of lines does not matter. */
struct member_list {
    size_t count;
    struct member list[MEMBERS_MAX];
    char notes[FAIL_TEXT_MAX]; /* what a person should know: entries twice, doubtful ones; or "" */
};

/* Where a list comes from. */
enum member_source {
    MEMBER_SOURCE_NONE,
    MEMBER_SOURCE_OPTION,   /* --members */
    MEMBER_SOURCE_SERVERS,  /* NACOS_SERVERS */
    MEMBER_SOURCE_FILE,     /* cluster.conf */
    MEMBER_SOURCE_PROPERTY, /* nacos.member.list */
};

/* The texts of all sources; NULL data: not given. Plain data. */
struct member_texts {
    struct span option;
    struct span servers;
    struct span file;
    struct span property;
};

/* Read a list. source: what to call the text in sentences ("conf/cluster.conf"). port_default: of
 * entries without one. Nothing but comments and blanks is an empty list, no error.
 * E_PARSE  an entry is none: says line, what was expected and what stands there
 * E_LIMIT  too many entries, too long a text */
MUST_USE int members_parse(const char *source, struct span text, uint16_t port_default,
                           struct member_list *ret, struct fail *fail);

/* The source that counts: the first in the order of enum member_source whose text holds an entry.
 * NACOS_SERVERS comes before the file because Nacos's image overwrites the file with it at each
 * start. */
enum member_source members_choose(const struct member_texts *texts);

/* What to call a source in sentences. */
const char *member_source_name(enum member_source source);

/* "host:port", IPv6 in brackets, and a NUL. */
void member_address(const char *host, uint16_t port, char dst[MEMBER_ADDRESS_MAX + 1]);

/* Index of the entry, or list->count. host is canonical. */
size_t members_find(const struct member_list *list, const char *host, uint16_t port);

/* Entries in the same order have the same canonical hosts and ports. */
bool members_eq(const struct member_list *a, const struct member_list *b);

/* SHA-256 of the canonical list, one address a line: equal on nodes whose lists say the same. */
void members_hash(const struct member_list *list, uint8_t dst[MEMBERS_HASH_BYTES]);

#endif
