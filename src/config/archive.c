#include "config/archive.h"

#include <inttypes.h>
#include <stdlib.h>

#include <zip.h>

#include "base/macros.h"
#include "base/utf8.h"
#include "config/archive_meta.h"

#define META_OLD ".meta.yml"
#define META_V2 ".metadata.yml"

/* What the console shows before the name of an unrecognised item: not in the metadata, not in the
 * archive. */
#define NOT_IN_METADATA "未在元数据中找到: "
#define NOT_IN_ARCHIVE "未在文件中找到: "

/* Sizes of the zip format's fixed parts (APPNOTE 4.3.7, 4.3.12, 4.3.16). */
#define LOCAL_HEAD 30u
#define DIRECTORY_HEAD 46u
#define DIRECTORY_END 22u
#define COMMENT_MAX 65535u

/* An entry of the directory. */
struct entry {
    zip_uint64_t index;
    uint64_t size; /* as the directory says */
    struct span name;
    struct span group, data_id;
    bool is_config;   /* the name is group/dataId */
    bool is_metadata; /* the file that tells the layout */
    bool is_named;    /* V2: the metadata names it */
    struct span content;
};

/* One reading. */
struct unzip {
    zip_t *zip;
    struct span bytes;
    struct arena *arena;
    struct entry *entries; /* in the directory's order, without folders */
    struct entry **sorted; /* by name */
    size_t count;
    uint64_t contents; /* bytes given out so far */
};

/* ------------------------------------------------------------------ names */

static bool is_safe_part(struct span part)
{
    if (span_empty(part) || span_eq(part, SPAN(".")) || span_eq(part, SPAN(".."))) {
        return false;
    }
    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.data[i];
        if (c < 0x20 || c == 0x7f || c == '\\' || c == '/') {
            return false;
        }
    }
    return true;
}

bool archive_name_cut(struct span name, struct span *ret_group, struct span *ret_data_id)
{
    struct span data_id = name;
    struct span group = span_cut(&data_id, '/');
    if (!is_safe_part(group) || !is_safe_part(data_id) || !utf8_valid(name.data, name.len)) {
        return false;
    }
    *ret_group = group;
    *ret_data_id = data_id;
    return true;
}

struct span archive_type_of(struct span data_id)
{
    static const struct {
        const char *extension;
        const char *type;
    } known[] = {
        {"properties", "properties"},
        {"xml", "xml"},
        {"json", "json"},
        {"html", "html"},
        {"htm", "html"},
        {"yaml", "yaml"},
        {"yml", "yaml"},
        {"toml", "toml"},
    };
    const char *dot = data_id.len ? memrchr(data_id.data, '.', data_id.len) : NULL;
    if (dot) {
        size_t len = data_id.len - (size_t)(dot + 1 - data_id.data);
        struct span extension = span_of(dot + 1, len);
        for (size_t i = 0; i < ARRAY_LEN(known); i++) {
            if (span_ieq(extension, span_str(known[i].extension))) {
                return span_str(known[i].type);
            }
        }
    }
    return SPAN("text");
}

/* ------------------------------------------------------------------ the directory */

static int too_large(struct fail *fail)
{
    return fail_set(fail, E_TOO_LARGE, "the archive unpacked is larger than a request may be");
}

static unsigned u16_at(const char *at)
{
    return (unsigned)(unsigned char)at[0] | (unsigned)(unsigned char)at[1] << 8;
}

/* libzip makes an entry of each that the directory's end announces, before anyone can ask how many
 * there are; so every end that it may choose is looked at before. (65535 says that the number is
 * in the zip64 record, where it may be any; libzip compares the two when both are given.) */
static int check_announced(struct span zip, struct fail *fail)
{
    size_t tail = zip.len < DIRECTORY_END + COMMENT_MAX ? zip.len : DIRECTORY_END + COMMENT_MAX;
    const char *at = zip.data + (zip.len - tail);
    for (; tail >= DIRECTORY_END; at++, tail--) {
        if (memcmp(at, "PK\5\6", 4) == 0 && u16_at(at + 10) > ARCHIVE_ENTRIES_MAX) {
            return fail_set(fail, E_TOO_LARGE, "the archive has more than %u entries",
                            ARCHIVE_ENTRIES_MAX);
        }
    }
    return 0;
}

/* Begins with the mark of an entry, of a directory or of its end: if libzip finds no zip in it, the
 * rest is missing. */
static bool looks_like_zip(struct span bytes)
{
    return span_starts(bytes, SPAN("PK\3\4")) || span_starts(bytes, SPAN("PK\1\2")) ||
           span_starts(bytes, SPAN("PK\5\6"));
}

/* Open the zip; *ret_zip stays NULL when the bytes are none. DIFF(import-damaged): Nacos reads on
 * until the damage and imports what came before it. */
static int open_zip(struct span bytes, zip_t **ret_zip, struct fail *fail)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes.data, bytes.len, 0, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error) : NULL;
    int err = 0;
    if (zip) {
        *ret_zip = zip;
    } else {
        zip_source_free(source);
        if (zip_error_code_zip(&error) != ZIP_ER_NOZIP || looks_like_zip(bytes)) {
            err = fail_set(fail, E_PARSE, "the archive is cut off or damaged: %s",
                           zip_error_strerror(&error));
        }
    }
    zip_error_fini(&error);
    return err;
}

/* The entry as the directory tells it; false in *ret_is_file for a folder. */
static int look_at(struct unzip *u, zip_uint64_t index, struct entry *e, uint64_t *bytes,
                   struct fail *fail)
{
    const zip_uint64_t needed =
        ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    zip_stat_t st;
    zip_stat_init(&st);
    const char *name = zip_get_name(u->zip, index, ZIP_FL_ENC_RAW);
    if (!name || zip_stat_index(u->zip, index, 0, &st) != 0 || (st.valid & needed) != needed) {
        return fail_set(fail, E_PARSE, "entry %" PRIu64 " of the archive is damaged: %s", index,
                        zip_strerror(u->zip));
    }
    struct span as_named = span_str(name);
    if (st.comp_size > u->bytes.len) {
        return fail_set(fail, E_PARSE, "entry '%.*s' is longer than the archive",
                        SPAN_ARG(as_named));
    }
    if (st.encryption_method != ZIP_EM_NONE) {
        return fail_set(fail, E_PARSE, "entry '%.*s' is encrypted", SPAN_ARG(as_named));
    }
    if (st.comp_method != ZIP_CM_STORE && st.comp_method != ZIP_CM_DEFLATE) {
        return fail_set(fail, E_UNSUPPORTED,
                        "entry '%.*s' is compressed by method %u; stored and deflated ones are "
                        "taken",
                        SPAN_ARG(as_named), st.comp_method);
    }
    *bytes += st.comp_size + LOCAL_HEAD + DIRECTORY_HEAD + 2 * as_named.len;
    *e = (struct entry){.index = index, .size = st.size, .name = as_named};
    e->is_config = archive_name_cut(as_named, &e->group, &e->data_id);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct entry *const *x = a;
    const struct entry *const *y = b;
    return span_cmp((*x)->name, (*y)->name);
}

/* Two entries of one name: which of them counts is for each reader to guess. */
static int sort_entries(struct unzip *u, struct fail *fail)
{
    for (size_t i = 0; i < u->count; i++) {
        u->sorted[i] = &u->entries[i];
    }
    if (u->count > 1) {
        qsort(u->sorted, u->count, sizeof(struct entry *), by_name);
    }
    for (size_t i = 1; i < u->count; i++) {
        if (span_eq(u->sorted[i - 1]->name, u->sorted[i]->name)) {
            return fail_set(fail, E_PARSE, "entry '%.*s' is in the archive twice",
                            SPAN_ARG(u->sorted[i]->name));
        }
    }
    return 0;
}

static int read_directory(struct unzip *u, struct fail *fail)
{
    zip_int64_t count = zip_get_num_entries(u->zip, 0);
    if (count < 0 || count > ARCHIVE_ENTRIES_MAX) {
        return fail_set(fail, E_TOO_LARGE, "the archive has more than %u entries",
                        ARCHIVE_ENTRIES_MAX);
    }
    size_t room = (size_t)count + 1;
    u->entries = arena_try(u->arena, room * sizeof(*u->entries));
    u->sorted = arena_try(u->arena, room * sizeof(struct entry *));
    if (!u->entries || !u->sorted) {
        return too_large(fail);
    }
    uint64_t bytes = DIRECTORY_END;
    for (zip_uint64_t i = 0; i < (zip_uint64_t)count; i++) {
        struct entry e = {0};
        int err = look_at(u, i, &e, &bytes, fail);
        if (err) {
            return err;
        }
        bool is_folder = e.name.len > 0 && e.name.data[e.name.len - 1] == '/';
        if (!is_folder) {
            u->entries[u->count++] = e;
        }
    }
    if (bytes > u->bytes.len) {
        return fail_set(fail, E_PARSE, "entries of the archive overlap");
    }
    return sort_entries(u, fail);
}

static struct entry *find_entry(const struct unzip *u, struct span name)
{
    struct entry key = {.name = name};
    const struct entry *pointer = &key;
    struct entry **found =
        u->count ? bsearch(&pointer, u->sorted, u->count, sizeof(struct entry *), by_name) : NULL;
    return found ? *found : NULL;
}

/* ------------------------------------------------------------------ contents */

/* Exactly size bytes come out, and then the end, which is where libzip compares the checksum. */
static int inflate_entry(struct unzip *u, const struct entry *e, char *dst, struct fail *fail)
{
    zip_file_t *file = zip_fopen_index(u->zip, e->index, 0);
    if (!file) {
        return fail_set(fail, E_PARSE, "entry '%.*s' is damaged: %s", SPAN_ARG(e->name),
                        zip_strerror(u->zip));
    }
    uint64_t have = 0;
    zip_int64_t got = 0;
    while (have < e->size) {
        got = zip_fread(file, dst + have, e->size - have);
        if (got <= 0) {
            break;
        }
        have += (uint64_t)got;
    }
    char more = 0;
    if (have == e->size) {
        got = zip_fread(file, &more, 1);
    }
    int err = 0;
    if (got < 0) {
        err = fail_set(fail, E_PARSE, "entry '%.*s' is damaged: %s", SPAN_ARG(e->name),
                       zip_error_strerror(zip_file_get_error(file)));
    } else if (have != e->size || got > 0) {
        err =
            fail_set(fail, E_PARSE, "entry '%.*s' has not the %" PRIu64 " bytes that it announces",
                     SPAN_ARG(e->name), e->size);
    }
    (void)zip_fclose(file);
    return err;
}

static int unpack(struct unzip *u, struct entry *e, struct fail *fail)
{
    if (e->size > ARCHIVE_CONTENT_MAX) {
        return fail_set(fail, E_TOO_LARGE, "entry '%.*s' is larger than %u bytes",
                        SPAN_ARG(e->name), ARCHIVE_CONTENT_MAX);
    }
    u->contents += e->size;
    if (u->contents > ARCHIVE_CONTENTS_MAX) {
        return fail_set(fail, E_TOO_LARGE, "the archive unpacked is larger than %u bytes",
                        ARCHIVE_CONTENTS_MAX);
    }
    char *data = arena_try(u->arena, (size_t)e->size + 1);
    if (!data) {
        return too_large(fail);
    }
    int err = inflate_entry(u, e, data, fail);
    if (!err) {
        e->content = span_of(data, (size_t)e->size);
    }
    return err;
}

/* ------------------------------------------------------------------ the two layouts */

/* Name an unrecognised item. */
static int add_unrecognized(struct unzip *u, struct archive *a, struct span prefix,
                            struct span name, struct fail *fail)
{
    size_t len = prefix.len + name.len;
    char *text = arena_try(u->arena, len + 1);
    if (!text) {
        return too_large(fail);
    }
    if (prefix.len > 0) {
        memcpy(text, prefix.data, prefix.len);
    }
    if (name.len > 0) {
        memcpy(text + prefix.len, name.data, name.len);
    }
    a->unrecognized[a->unrecognized_count++] = span_of(text, len);
    return 0;
}

static int reserve(struct unzip *u, struct archive *a, size_t items, size_t unrecognized,
                   struct fail *fail)
{
    a->items = arena_try(u->arena, (items + 1) * sizeof(*a->items));
    a->unrecognized = arena_try(u->arena, (unrecognized + 1) * sizeof(*a->unrecognized));
    return a->items && a->unrecognized ? 0 : too_large(fail);
}

/* Names live as long as libzip's handle; items outlive it. */
static int keep_names(struct unzip *u, struct archive_item *item, struct fail *fail)
{
    char *text = arena_try(u->arena, item->group.len + item->data_id.len + 1);
    if (!text) {
        return too_large(fail);
    }
    memcpy(text, item->group.data, item->group.len);
    memcpy(text + item->group.len, item->data_id.data, item->data_id.len);
    item->group.data = text;
    item->data_id.data = text + item->group.len;
    return 0;
}

static int add_old(struct unzip *u, struct archive *a, struct entry *e,
                   const struct archive_app *apps, size_t apps_count, struct fail *fail)
{
    struct archive_item *item = &a->items[a->count];
    *item = (struct archive_item){.group = e->group, .data_id = e->data_id};
    int err = unpack(u, e, fail);
    err = err ? err : keep_names(u, item, fail);
    if (err) {
        return err;
    }
    item->content = e->content;
    item->app_name = archive_apps_find(apps, apps_count, item);
    /* DIFF(import-type): what the extension says, as Nacos did up to 2.4. */
    item->type = archive_type_of(item->data_id);
    a->count++;
    return 0;
}

static int read_old(struct unzip *u, struct archive *a, struct fail *fail)
{
    struct entry *metadata = find_entry(u, SPAN(META_OLD));
    struct archive_app *apps = NULL;
    size_t apps_count = 0;
    a->layout = ARCHIVE_OLD;
    int err = reserve(u, a, u->count, u->count, fail);
    if (!err && metadata) {
        err = unpack(u, metadata, fail);
        err = err ? err : archive_apps_read(metadata->content, u->arena, &apps, &apps_count, fail);
    }
    for (size_t i = 0; !err && i < u->count; i++) {
        struct entry *e = &u->entries[i];
        if (e == metadata) {
            continue;
        }
        err = e->is_config ? add_old(u, a, e, apps, apps_count, fail)
                           : add_unrecognized(u, a, (struct span){0}, e->name, fail);
    }
    return err;
}

/* Mark the entries that the metadata names, and give them out in its order. */
static int add_named(struct unzip *u, struct archive *a, struct archive_item *item,
                     struct fail *fail)
{
    char *text = arena_try(u->arena, item->group.len + item->data_id.len + 2);
    if (!text) {
        return too_large(fail);
    }
    memcpy(text, item->group.data, item->group.len);
    text[item->group.len] = '/';
    memcpy(text + item->group.len + 1, item->data_id.data, item->data_id.len);
    struct span name = span_of(text, item->group.len + item->data_id.len + 1);
    struct entry *e = find_entry(u, name);
    if (!e || !e->is_config) {
        return add_unrecognized(u, a, SPAN(NOT_IN_ARCHIVE), name, fail);
    }
    if (e->is_named) {
        return fail_set(fail, E_INVALID, META_V2 " names '%.*s' twice", SPAN_ARG(name));
    }
    e->is_named = true;
    int err = unpack(u, e, fail);
    if (!err) {
        item->content = e->content;
        a->items[a->count++] = *item;
    }
    return err;
}

/* Entries that the metadata does not name come first, as Nacos lists them. */
static int list_unnamed(struct unzip *u, struct archive *a, const struct entry *metadata,
                        struct fail *fail)
{
    struct archive missing = *a; /* what add_named has listed */
    a->unrecognized =
        arena_try(u->arena, (u->count + missing.unrecognized_count + 1) * sizeof(*a->unrecognized));
    a->unrecognized_count = 0;
    if (!a->unrecognized) {
        return too_large(fail);
    }
    int err = 0;
    for (size_t i = 0; !err && i < u->count; i++) {
        const struct entry *e = &u->entries[i];
        if (e == metadata || e->is_named) {
            continue;
        }
        struct span prefix = e->is_config ? SPAN(NOT_IN_METADATA) : (struct span){0};
        err = add_unrecognized(u, a, prefix, e->name, fail);
    }
    for (size_t i = 0; i < missing.unrecognized_count; i++) {
        a->unrecognized[a->unrecognized_count++] = missing.unrecognized[i];
    }
    return err;
}

static int read_v2(struct unzip *u, struct archive *a, struct entry *metadata, struct fail *fail)
{
    struct archive_item *named = NULL;
    size_t count = 0;
    a->layout = ARCHIVE_V2;
    int err = unpack(u, metadata, fail);
    err = err ? err : archive_meta_read(metadata->content, u->arena, &named, &count, fail);
    err = err ? err : reserve(u, a, count, count, fail);
    for (size_t i = 0; !err && i < count; i++) {
        err = add_named(u, a, &named[i], fail);
    }
    return err ? err : list_unnamed(u, a, metadata, fail);
}

int archive_read(struct span zip, struct arena *arena, struct archive *ret, struct fail *fail)
{
    struct unzip u = {.bytes = zip, .arena = arena};
    struct archive a = {0};
    if (zip.len > ARCHIVE_BYTES_MAX) {
        return fail_set(fail, E_TOO_LARGE, "the archive has %zu bytes, at most %u are taken",
                        zip.len, ARCHIVE_BYTES_MAX);
    }
    int err = zip.len ? check_announced(zip, fail) : 0;
    if (!err && zip.len > 0) {
        err = open_zip(zip, &u.zip, fail);
    }
    if (!err && u.zip) {
        err = read_directory(&u, fail);
        struct entry *v2 = err ? NULL : find_entry(&u, SPAN(META_V2));
        if (!err) {
            err = v2 ? read_v2(&u, &a, v2, fail) : read_old(&u, &a, fail);
        }
    }
    if (u.zip) {
        zip_discard(u.zip);
    }
    if (!err) {
        *ret = a;
    }
    return err;
}
