/* Archives of configs: the zip that Nacos's console exports and imports, in memory.
 *
 *   <group>/<dataId>   content, UTF-8
 *   .metadata.yml      V2 layout (exportV2): what there is, with type, description, application
 *   .meta.yml          old layout: the applications only; not there when no config has one
 *
 * Thread:  any; no state. Nothing ever touches a file: names of entries are compared, not opened.
 * Owns:    nothing; spans lie in the arena or in the zip's bytes. A writer owns copies.
 * Limits:  those below. DIFF(import-limits): Nacos has none. What an entry's head announces is
 *          counted before memory is given; what comes out of it must be exactly that long.
 * Source:  http-api.md 2.8; Nacos 2.5.1 config/.../utils/ZipUtils.java, YamlParserUtil.java,
 *          ConfigController.java (parseImportData, parseImportDataV2, exportConfig).
 */
#ifndef NACRE_CONFIG_ARCHIVE_H
#define NACRE_CONFIG_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/span.h"

#define ARCHIVE_BYTES_MAX (32u << 20)     /* of a zip that is read */
#define ARCHIVE_ENTRIES_MAX 20000u        /* in one zip, read or written */
#define ARCHIVE_CONTENT_MAX (10u << 20)   /* bytes of one entry */
#define ARCHIVE_CONTENTS_MAX (128u << 20) /* bytes of all entries together */

enum archive_layout {
    ARCHIVE_OLD, /* .meta.yml */
    ARCHIVE_V2,  /* .metadata.yml */
};

/* One config. data NULL: not given. Plain data. */
struct archive_item {
    struct span group;
    struct span data_id;
    struct span content;
    struct span app_name;
    struct span type;
    struct span desc;
};

/* What an archive held. Plain data, in the arena. */
struct archive {
    enum archive_layout layout;
    struct archive_item *items; /* V2: in the order of the metadata; else of the zip */
    size_t count;
    struct span *unrecognized; /* names as the console shows them (http-api.md 2.8) */
    size_t unrecognized_count;
};

/* Read a zip. Bytes that are no zip at all, or one without entries, give an empty archive, as
 * Nacos sees it. An entry whose name is not exactly group/dataId (or has . or .. for a part, a
 * backslash, a control character, or is no UTF-8) is unrecognised and not unpacked; what the parts
 * may look like is for the caller to check. In the old layout the type comes from the dataId's
 * extension (DIFF(import-type): 2.5.1 stores none, which reads as text).
 * E_INVALID    the metadata, with its line
 * E_PARSE      damaged, cut, lying about itself, encrypted, twice the same name
 * E_TOO_LARGE  over a limit, or over what the arena holds   E_UNSUPPORTED  a compression */
MUST_USE int archive_read(struct span zip, struct arena *arena, struct archive *ret,
                          struct fail *fail);

/* Cut the name of an entry into its two parts. False: unrecognised, as above. */
bool archive_name_cut(struct span name, struct span *ret_group, struct span *ret_data_id);

/* The content type of a dataId by its extension; "text" when it tells none. */
struct span archive_type_of(struct span data_id);

struct archive_writer;

/* Begin an archive whose entries bear this time (ms since 1970). */
MUST_USE struct archive_writer *archive_writer_create(enum archive_layout layout, int64_t time_ms);

/* Add a config; everything is copied. Entries and metadata come in the order of the calls. Fields
 * whose data is NULL are left out of the metadata.
 * E_INVALID    a name that does not make a safe entry   E_CONFLICT  it is there already
 * E_TOO_LARGE  ARCHIVE_ENTRIES_MAX, ARCHIVE_CONTENTS_MAX */
MUST_USE int archive_writer_add(struct archive_writer *w, const struct archive_item *item,
                                struct fail *fail);

/* The zip, one reference. Nothing can be added after it.
 * E_INVALID  metadata that YAML cannot hold (no UTF-8) */
MUST_USE int archive_writer_finish(struct archive_writer *w, struct buf **ret_zip,
                                   struct fail *fail);

/* NULL is fine. */
void archive_writer_destroy(struct archive_writer *w);

#endif
