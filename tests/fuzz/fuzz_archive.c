/* Archives of configs: whatever is uploaded is read within its limits or refused with words, and
 * what was read comes back when it is written and read again.
 *
 * Input: one byte that chooses what the rest is: a zip, .metadata.yml, .meta.yml, or texts between
 * NULs that become the fields of configs to write. */
#include "fuzz.h"

#include "base/arena.h"
#include "config/archive_meta.h"

/* As much as a request may hold. */
#define ARENA_MAX (64u << 20)

static void touch_item(const struct archive_item *item)
{
    fuzz_touch(item->group);
    fuzz_touch(item->data_id);
    fuzz_touch(item->content);
    fuzz_touch(item->app_name);
    fuzz_touch(item->type);
    fuzz_touch(item->desc);
}

static bool same_text(struct span a, struct span b)
{
    return (a.data != NULL) == (b.data != NULL) && span_eq(a, b);
}

/* Names are as they must be, and nobody is there twice. */
static void check_archive(const struct archive *a)
{
    REQUIRE(a->count + a->unrecognized_count <= 2 * (size_t)ARCHIVE_ENTRIES_MAX);
    size_t contents = 0;
    for (size_t i = 0; i < a->count; i++) {
        const struct archive_item *item = &a->items[i];
        touch_item(item);
        REQUIRE(item->content.data && item->content.len <= ARCHIVE_CONTENT_MAX);
        REQUIRE(item->type.data && item->type.len > 0);
        REQUIRE(item->group.len > 0 && item->data_id.len > 0);
        REQUIRE(!span_eq(item->group, SPAN("..")) && !span_eq(item->data_id, SPAN("..")));
        REQUIRE(!memchr(item->group.data, '/', item->group.len));
        REQUIRE(!memchr(item->data_id.data, '/', item->data_id.len));
        contents += item->content.len;
    }
    REQUIRE(contents <= ARCHIVE_CONTENTS_MAX);
    for (size_t i = 0; i < a->unrecognized_count; i++) {
        fuzz_touch(a->unrecognized[i]);
    }
}

/* Write the configs in the V2 layout and read them again. */
static void check_rewrite(const struct archive_item *items, size_t count)
{
    struct archive_writer *w = archive_writer_create(ARCHIVE_V2, 1700000000000);
    struct fail fail = {0};
    struct buf *zip = NULL;
    struct arena arena;
    struct archive again = {0};
    arena_init(&arena, ARENA_MAX);
    for (size_t i = 0; i < count; i++) {
        REQUIRE(archive_writer_add(w, &items[i], &fail) == 0);
    }
    int err = archive_writer_finish(w, &zip, &fail);
    if (err) {
        fuzz_check_fail(err, &fail); /* texts that YAML does not take */
        archive_writer_destroy(w);
        return;
    }
    err = archive_read(buf_span(zip), &arena, &again, &fail);
    REQUIRE(count == 0 || err == 0 || err == E_TOO_LARGE || err == E_INVALID);
    if (err == E_INVALID) {
        /* The metadata needs more than a zip does: a type that is not blank, and the like. */
        REQUIRE(strstr(fail.text, ".metadata.yml"));
    }
    if (!err) {
        REQUIRE(again.count == count && again.unrecognized_count == 0);
        for (size_t i = 0; i < count; i++) {
            REQUIRE(same_text(again.items[i].content, items[i].content));
            REQUIRE(same_text(again.items[i].data_id, items[i].data_id));
            REQUIRE(same_text(again.items[i].group, items[i].group));
            REQUIRE(same_text(again.items[i].desc, items[i].desc));
            REQUIRE(same_text(again.items[i].app_name, items[i].app_name));
        }
    }
    buf_unref(zip);
    archive_writer_destroy(w);
    arena_close(&arena);
}

static void read_zip(struct span bytes, struct arena *arena)
{
    struct archive a = {0};
    struct fail fail = {0};
    int err = archive_read(bytes, arena, &a, &fail);
    if (err) {
        fuzz_check_fail(err, &fail);
        REQUIRE(!a.items);
        return;
    }
    check_archive(&a);
    check_rewrite(a.items, a.count);
}

static void read_metadata(struct span text, struct arena *arena)
{
    struct archive_item *items = NULL;
    size_t count = 0;
    struct fail fail = {0};
    int err = archive_meta_read(text, arena, &items, &count, &fail);
    if (err) {
        fuzz_check_fail(err, &fail);
        return;
    }
    REQUIRE(count > 0 && count <= ARCHIVE_ENTRIES_MAX);
    struct buf *written = NULL;
    for (size_t i = 0; i < count; i++) {
        touch_item(&items[i]);
    }
    REQUIRE(archive_meta_write(items, count, &written, &fail) == 0);
    struct archive_item *again = NULL;
    size_t again_count = 0;
    REQUIRE(archive_meta_read(buf_span(written), arena, &again, &again_count, &fail) == 0);
    REQUIRE(again_count == count);
    for (size_t i = 0; i < count; i++) {
        REQUIRE(same_text(again[i].desc, items[i].desc));
        REQUIRE(same_text(again[i].data_id, items[i].data_id));
    }
    buf_unref(written);
}

static void read_apps(struct span text, struct arena *arena)
{
    struct archive_app *apps = NULL;
    size_t count = 0;
    struct fail fail = {0};
    int err = archive_apps_read(text, arena, &apps, &count, &fail);
    if (err) {
        fuzz_check_fail(err, &fail);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        fuzz_touch(apps[i].key);
        fuzz_touch(apps[i].app_name);
        REQUIRE(i == 0 || span_cmp(apps[i - 1].key, apps[i].key) < 0);
    }
}

/* Configs of any texts: those that make an entry come back. */
static void write_texts(struct span rest)
{
    struct archive_writer *w = archive_writer_create(ARCHIVE_V2, 0);
    struct archive_item kept[16];
    size_t count = 0;
    while (rest.len > 0 && count < 16) {
        struct archive_item item = {0};
        item.group = fuzz_cut(&rest, '\0');
        item.data_id = fuzz_cut(&rest, '\0');
        item.desc = fuzz_cut(&rest, '\0');
        item.app_name = fuzz_cut(&rest, '\0');
        item.content = fuzz_cut(&rest, '\0');
        item.content.data = item.content.data ? item.content.data : "";
        item.type = SPAN("text");
        struct fail fail = {0};
        int err = archive_writer_add(w, &item, &fail);
        if (err) {
            fuzz_check_fail(err, &fail);
            continue;
        }
        kept[count++] = item;
    }
    archive_writer_destroy(w);
    check_rewrite(kept, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of((const char *)data, size);
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    switch (fuzz_byte(&rest) & 3) {
    case 0:
        read_zip(rest, &arena);
        break;
    case 1:
        read_metadata(rest, &arena);
        break;
    case 2:
        read_apps(rest, &arena);
        break;
    default:
        write_texts(rest);
        break;
    }
    REQUIRE(arena.used <= ARENA_MAX + ARENA_SPARE);
    arena_close(&arena);
    return 0;
}
