/* Sections: several parts in one stream of bytes, each of unknown length until it ends. What the
 * log's snapshots and backup files are made of.
 *
 * Format (little endian): 8 bytes SECTIONS_MAGIC, u32 version; then per section u32 kind, pieces of
 * u32 length and as many bytes, u32 0; then u32 SECTION_END. A reader skips kinds it does not know.
 * Damage is not its business: snapshots carry checksums in the log, backups a digest (backup.h);
 * but whatever comes is an error or sections, never more.
 *
 * Thread:  one at a time. Embedded, plain data; the stream is borrowed.
 */
#ifndef NACRE_NODE_SECTIONS_H
#define NACRE_NODE_SECTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/stream.h"

#define SECTIONS_MAGIC "NACRESEC"
#define SECTIONS_VERSION 1

/* Stands in files: numbers never change. */
enum section {
    SECTION_END = 0,
    SECTION_TABLES = 1,   /* u64: the entry up to which the tables are durable */
    SECTION_NAMING = 2,   /* naming_snapshot.h */
    SECTION_DATABASE = 3, /* the file config.db */
    SECTION_ABOUT = 4,    /* text, key=value lines: what made it, when */
    SECTION_OWNERS = 5,   /* cluster/owners.h */
};

struct sections_out {
    const struct byte_sink *to;
    bool is_open; /* a section is */
};

/* Magic and version. */
MUST_USE int sections_begin(struct sections_out *s, const struct byte_sink *to, struct fail *fail);

/* Begin a section; none is open (asserted). What goes to *ret_sink until section_close is its
 * bytes. */
MUST_USE int section_open(struct sections_out *s, enum section kind, struct byte_sink *ret_sink,
                          struct fail *fail);
MUST_USE int section_close(struct sections_out *s, struct fail *fail);

/* The end mark; no section is open (asserted). */
MUST_USE int sections_finish(struct sections_out *s, struct fail *fail);

struct sections_in {
    const struct byte_source *from;
    uint32_t left;  /* of the current piece */
    bool is_inside; /* the current section has not ended */
};

/* Read magic and version. E_PARSE  not such a stream, or of a newer version */
MUST_USE int sections_open(struct sections_in *s, const struct byte_source *from,
                           struct fail *fail);

/* Skip what is left of the current section and read the next one's kind (SECTION_END at the end).
 * Its bytes come from *ret_source: E_PARSE where it ends before. */
MUST_USE int sections_next(struct sections_in *s, uint32_t *ret_kind,
                           struct byte_source *ret_source, struct fail *fail);

/* Read up to max bytes of the current section: *ret_len 0 at its end. */
MUST_USE int section_read_some(struct sections_in *s, void *dst, size_t max, size_t *ret_len,
                               struct fail *fail);

#endif
