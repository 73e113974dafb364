#include "config/archive.h"

#include <zip.h>

#include "base/assert.h"
#include "base/mem.h"
#include "config/archive_meta.h"

/* Names and texts of the metadata, besides the contents. */
#define TEXTS_MAX (96u << 20)

struct archive_writer {
    enum archive_layout layout;
    time_t time;
    zip_source_t *sink; /* the zip as it will be, in memory */
    zip_t *zip;         /* NULL: finished */
    struct arena arena;
    struct archive_item *items;
    size_t count, cap;
    uint64_t contents; /* bytes */
};

struct archive_writer *archive_writer_create(enum archive_layout layout, int64_t time_ms)
{
    struct archive_writer *w = mem_zalloc(1, sizeof(*w));
    w->layout = layout;
    w->time = (time_t)(time_ms / 1000);
    arena_init(&w->arena, (size_t)ARCHIVE_CONTENTS_MAX + TEXTS_MAX);
    /* Both fail for want of memory only. */
    w->sink = zip_source_buffer_create(NULL, 0, 0, NULL);
    ASSERT(w->sink != NULL);
    zip_source_keep(w->sink);
    w->zip = zip_open_from_source(w->sink, ZIP_TRUNCATE, NULL);
    ASSERT(w->zip != NULL);
    return w;
}

void archive_writer_destroy(struct archive_writer *w)
{
    if (!w) {
        return;
    }
    if (w->zip) {
        zip_discard(w->zip);
    }
    zip_source_free(w->sink);
    arena_close(&w->arena);
    mem_free(w->items);
    mem_free(w);
}

static int too_large(struct fail *fail)
{
    return fail_set(fail, E_TOO_LARGE,
                    "contents over %u bytes do not fit one archive: ask for fewer configs",
                    ARCHIVE_CONTENTS_MAX);
}

/* A copy; data NULL stays NULL. */
static int keep(struct archive_writer *w, struct span s, struct span *ret, struct fail *fail)
{
    *ret = (struct span){0};
    if (!s.data) {
        return 0;
    }
    char *copy = arena_try(&w->arena, s.len + 1);
    if (!copy) {
        return too_large(fail);
    }
    if (s.len > 0) {
        memcpy(copy, s.data, s.len);
    }
    *ret = span_of(copy, s.len);
    return 0;
}

/* "group/dataId", which lives as long as the writer; refused when it is no safe name. */
static int keep_name(struct archive_writer *w, const struct archive_item *item,
                     struct span *ret_name, struct fail *fail)
{
    struct span group = {0};
    struct span data_id = {0};
    size_t len = item->group.len + item->data_id.len + 1;
    char *name = arena_try(&w->arena, len + 1);
    if (!name) {
        return too_large(fail);
    }
    memcpy(name, item->group.data ? item->group.data : "", item->group.len);
    name[item->group.len] = '/';
    memcpy(name + item->group.len + 1, item->data_id.data ? item->data_id.data : "",
           item->data_id.len);
    *ret_name = span_of(name, len);
    if (!archive_name_cut(*ret_name, &group, &data_id) || group.len != item->group.len) {
        return fail_set(fail, E_INVALID, "'%.*s' is no name for an entry of an archive",
                        SPAN_ARG(*ret_name));
    }
    return 0;
}

/* An entry whose content outlives the writing. libzip knows the names that it has. */
static int add_entry(struct archive_writer *w, const char *name, struct span content,
                     struct fail *fail)
{
    zip_source_t *source = zip_source_buffer(w->zip, content.data, content.len, 0);
    zip_int64_t index = source ? zip_file_add(w->zip, name, source, ZIP_FL_ENC_UTF_8) : -1;
    if (index < 0) {
        int code = zip_error_code_zip(zip_get_error(w->zip));
        zip_source_free(source);
        return code == ZIP_ER_EXISTS
                   ? fail_set(fail, E_CONFLICT, "'%s' is in the archive already", name)
                   : fail_set(fail, E_INVALID, "'%s' cannot be put into an archive: %s", name,
                              zip_strerror(w->zip));
    }
    (void)zip_file_set_mtime(w->zip, (zip_uint64_t)index, w->time, 0);
    return 0;
}

static int copy_item(struct archive_writer *w, const struct archive_item *item,
                     struct archive_item *ret, struct fail *fail)
{
    int err = keep(w, item->group, &ret->group, fail);
    err = err ? err : keep(w, item->data_id, &ret->data_id, fail);
    err = err ? err : keep(w, item->content, &ret->content, fail);
    err = err ? err : keep(w, item->app_name, &ret->app_name, fail);
    err = err ? err : keep(w, item->type, &ret->type, fail);
    return err ? err : keep(w, item->desc, &ret->desc, fail);
}

int archive_writer_add(struct archive_writer *w, const struct archive_item *item, struct fail *fail)
{
    ASSERT(w->zip != NULL);
    struct span name = {0};
    struct archive_item kept = {0};
    if (w->count == ARCHIVE_ENTRIES_MAX - 1) {
        return fail_set(fail, E_TOO_LARGE,
                        "more than %u configs do not fit one archive: ask for fewer",
                        ARCHIVE_ENTRIES_MAX - 1);
    }
    if (item->content.len > ARCHIVE_CONTENTS_MAX - w->contents) {
        return too_large(fail);
    }
    int err = keep_name(w, item, &name, fail);
    err = err ? err : copy_item(w, item, &kept, fail);
    err = err ? err : add_entry(w, name.data, kept.content, fail);
    if (err) {
        return err;
    }
    if (w->count == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 64;
        w->items = mem_realloc(w->items, w->cap, sizeof(*w->items));
    }
    w->items[w->count++] = kept;
    w->contents += kept.content.len;
    return 0;
}

/* The metadata's file, which lives until the zip is closed; NULL: none. */
static int add_metadata(struct archive_writer *w, struct buf **ret_text, struct fail *fail)
{
    struct buf *text = NULL;
    int err = 0;
    const char *name = ".meta.yml";
    if (w->layout == ARCHIVE_V2) {
        name = ".metadata.yml";
        err = archive_meta_write(w->items, w->count, &text, fail);
    } else {
        text = archive_apps_write(w->items, w->count);
    }
    if (!err && text) {
        err = add_entry(w, name, buf_span(text), fail);
    }
    *ret_text = text;
    return err;
}

static int take_bytes(struct archive_writer *w, struct buf **ret_zip, struct fail *fail)
{
    zip_stat_t st;
    zip_stat_init(&st);
    if (zip_source_open(w->sink) != 0 || zip_source_stat(w->sink, &st) != 0) {
        return fail_set(fail, E_INTERNAL, "the archive that was written cannot be read: %s",
                        zip_error_strerror(zip_source_error(w->sink)));
    }
    char *data = mem_alloc((size_t)st.size);
    zip_int64_t got = zip_source_read(w->sink, data, st.size);
    (void)zip_source_close(w->sink);
    if (got < 0 || (zip_uint64_t)got != st.size) {
        mem_free(data);
        return fail_set(fail, E_INTERNAL, "the archive that was written cannot be read");
    }
    *ret_zip = buf_take(data, (size_t)st.size);
    return 0;
}

int archive_writer_finish(struct archive_writer *w, struct buf **ret_zip, struct fail *fail)
{
    ASSERT(w->zip != NULL);
    /* libzip writes nothing for an archive without entries; a zip of none is its directory's end.
     */
    static const char none[22] = "PK\5\6";
    struct buf *metadata = NULL;
    int err = add_metadata(w, &metadata, fail);
    bool is_empty = w->count == 0 && !metadata;
    if (!err && is_empty) {
        *ret_zip = buf_create(span_of(none, sizeof(none)));
    }
    if (!err && !is_empty && zip_close(w->zip) != 0) {
        err = fail_set(fail, E_INTERNAL, "the archive cannot be written: %s", zip_strerror(w->zip));
    } else if (!err && !is_empty) {
        w->zip = NULL;
        err = take_bytes(w, ret_zip, fail);
    }
    if (w->zip) {
        zip_discard(w->zip);
        w->zip = NULL;
    }
    buf_unref(metadata);
    return err;
}
