/* The metadata of an archive (archive.h): .metadata.yml of the V2 layout, a list in YAML, and
 * .meta.yml of the old one, lines of key=value.
 *
 * Thread:  any; no state.
 * Limits:  ARCHIVE_META_EVENTS_MAX events of YAML, ARCHIVE_META_DEPTH_MAX levels, no aliases (a few
 *          lines of them grow to gigabytes); ARCHIVE_ENTRIES_MAX configs or lines.
 * Source:  http-api.md 2.8; golden http/config-batch.
 */
#ifndef NACRE_CONFIG_ARCHIVE_META_H
#define NACRE_CONFIG_ARCHIVE_META_H

#include "config/archive.h"

#define ARCHIVE_META_EVENTS_MAX 500000u
#define ARCHIVE_META_DEPTH_MAX 16u

/* What .meta.yml says of one config: key "<group>.<name>~<ext>.app". */
struct archive_app {
    struct span key;
    struct span app_name;
};

/* Parse .metadata.yml. Each config has group, dataId and type; keys that we do not know are passed
 * over. content is not set. In the arena.
 * E_INVALID  with line and reason; an empty list too   E_TOO_LARGE  a limit, or the arena */
MUST_USE int archive_meta_read(struct span text, struct arena *arena,
                               struct archive_item **ret_items, size_t *ret_count,
                               struct fail *fail);

/* The text of .metadata.yml, one reference. E_INVALID  a text is not UTF-8 */
MUST_USE int archive_meta_write(const struct archive_item *items, size_t count,
                                struct buf **ret_text, struct fail *fail);

/* Parse .meta.yml, in the arena, sorted by key; of equal keys the last one stays.
 * E_INVALID  a line that is not key=value   E_TOO_LARGE */
MUST_USE int archive_apps_read(struct span text, struct arena *arena, struct archive_app **ret_apps,
                               size_t *ret_count, struct fail *fail);

/* The application of a config; data NULL: none. */
struct span archive_apps_find(const struct archive_app *apps, size_t count,
                              const struct archive_item *item);

/* The text of .meta.yml; NULL when no config has an application. One whose name holds a line break
 * cannot stand there and is left out. */
struct buf *archive_apps_write(const struct archive_item *items, size_t count);

#endif
