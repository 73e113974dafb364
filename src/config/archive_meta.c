#include "config/archive_meta.h"

#include <stdlib.h>

#include <yaml.h>

#include "base/json_out.h"
#include "base/macros.h"
#include "base/utf8.h"

/* A key of .meta.yml: a longer one belongs to no config that could be stored. */
#define APP_KEY_MAX 1024

/* ------------------------------------------------------------------ reading YAML */

/* The parser and the event it stands at. */
struct source {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    unsigned events;
    struct arena *arena;
};

static int refuse(const struct source *s, const char *what, struct fail *fail)
{
    return fail_set(fail, E_INVALID, ".metadata.yml line %zu: %s", s->event.start_mark.line + 1,
                    what);
}

/* Go to the next event. */
static int next(struct source *s, struct fail *fail)
{
    if (s->has_event) {
        yaml_event_delete(&s->event);
        s->has_event = false;
    }
    if (++s->events > ARCHIVE_META_EVENTS_MAX) {
        return fail_set(fail, E_TOO_LARGE, ".metadata.yml holds more than %u values",
                        ARCHIVE_META_EVENTS_MAX);
    }
    if (!yaml_parser_parse(&s->parser, &s->event)) {
        return fail_set(fail, E_INVALID, ".metadata.yml line %zu: %s",
                        s->parser.problem_mark.line + 1,
                        s->parser.problem ? s->parser.problem : "not YAML");
    }
    s->has_event = true;
    return s->event.type == YAML_ALIAS_EVENT ? refuse(s, "aliases are not taken", fail) : 0;
}

static int expect(struct source *s, yaml_event_type_t type, const char *what, struct fail *fail)
{
    int err = next(s, fail);
    if (err) {
        return err;
    }
    return s->event.type == type ? 0 : refuse(s, what, fail);
}

static bool opens(yaml_event_type_t type)
{
    return type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
}

static bool closes(yaml_event_type_t type)
{
    return type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
}

/* Pass over the value that begins with the current event; its last event is the current one then.
 */
static int skip(struct source *s, struct fail *fail)
{
    unsigned depth = 0;
    int err = 0;
    for (;;) {
        depth += opens(s->event.type);
        depth -= closes(s->event.type);
        if (depth > ARCHIVE_META_DEPTH_MAX) {
            return refuse(s, "nested too deeply", fail);
        }
        if (depth == 0) {
            return 0;
        }
        err = next(s, fail);
        if (err) {
            return err;
        }
    }
}

static struct span scalar(const struct source *s)
{
    return span_of((const char *)s->event.data.scalar.value, s->event.data.scalar.length);
}

/* null as YAML 1.1 writes it. */
static bool is_null(const struct source *s)
{
    struct span v = scalar(s);
    return s->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (v.len == 0 || span_eq(v, SPAN("~")) || span_eq(v, SPAN("null")) ||
            span_eq(v, SPAN("Null")) || span_eq(v, SPAN("NULL")));
}

/* The field of this name; NULL: none of ours. */
static struct span *field_of(struct archive_item *item, struct span key)
{
    const struct {
        struct span key;
        struct span *field;
    } known[] = {
        {SPAN("group"), &item->group}, {SPAN("dataId"), &item->data_id},
        {SPAN("type"), &item->type},   {SPAN("appName"), &item->app_name},
        {SPAN("desc"), &item->desc},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (span_eq(known[i].key, key)) {
            return known[i].field;
        }
    }
    return NULL;
}

/* A copy in the arena, whose size the input decides. */
static int keep(struct source *s, struct span text, struct span *ret, struct fail *fail)
{
    char *copy = arena_try(s->arena, text.len + 1);
    if (!copy) {
        return fail_set(fail, E_TOO_LARGE, ".metadata.yml is larger than a request may be");
    }
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    *ret = span_of(copy, text.len);
    return 0;
}

/* The value of a key; field NULL: passed over. */
static int read_value(struct source *s, struct span *field, struct fail *fail)
{
    int err = next(s, fail);
    if (err) {
        return err;
    }
    if (!field) {
        return skip(s, fail);
    }
    if (s->event.type != YAML_SCALAR_EVENT) {
        return refuse(s, "expected a text", fail);
    }
    if (is_null(s)) {
        *field = (struct span){0};
        return 0;
    }
    return keep(s, scalar(s), field, fail);
}

static int check_item(const struct source *s, const struct archive_item *item, struct fail *fail)
{
    if (span_empty(span_trim(item->group))) {
        return refuse(s, "a config without group", fail);
    }
    if (span_empty(span_trim(item->data_id))) {
        return refuse(s, "a config without dataId", fail);
    }
    if (span_empty(span_trim(item->type))) {
        return refuse(s, "a config without type", fail);
    }
    return 0;
}

/* One config; the current event is its mapping's start. */
static int read_item(struct source *s, struct archive_item *item, struct fail *fail)
{
    if (s->event.type != YAML_MAPPING_START_EVENT) {
        return refuse(s, "expected a config with group, dataId and type", fail);
    }
    for (;;) {
        int err = next(s, fail);
        if (err) {
            return err;
        }
        if (s->event.type == YAML_MAPPING_END_EVENT) {
            return check_item(s, item, fail);
        }
        if (s->event.type != YAML_SCALAR_EVENT) {
            return refuse(s, "expected the name of a field", fail);
        }
        err = read_value(s, field_of(item, scalar(s)), fail);
        if (err) {
            return err;
        }
    }
}

/* The configs while their number is unknown. */
struct items {
    struct archive_item *list;
    size_t count, cap;
};

static int add_item(struct source *s, struct items *items, struct fail *fail)
{
    if (items->count == ARCHIVE_ENTRIES_MAX) {
        return fail_set(fail, E_TOO_LARGE, ".metadata.yml names more than %u configs",
                        ARCHIVE_ENTRIES_MAX);
    }
    if (items->count == items->cap) {
        size_t cap = items->cap ? 2 * items->cap : 64;
        struct archive_item *list = arena_try(s->arena, cap * sizeof(*list));
        if (!list) {
            return fail_set(fail, E_TOO_LARGE, ".metadata.yml is larger than a request may be");
        }
        if (items->count > 0) {
            memcpy(list, items->list, items->count * sizeof(*list));
        }
        items->list = list;
        items->cap = cap;
    }
    return read_item(s, &items->list[items->count++], fail);
}

/* The list; the current event is the key's, "metadata". */
static int read_list(struct source *s, struct items *items, struct fail *fail)
{
    int err = expect(s, YAML_SEQUENCE_START_EVENT, "'metadata' is not a list", fail);
    while (!err) {
        err = next(s, fail);
        if (!err && s->event.type == YAML_SEQUENCE_END_EVENT) {
            return 0;
        }
        if (!err) {
            err = add_item(s, items, fail);
        }
    }
    return err;
}

/* The members of the document's mapping; the current event is its start. */
static int read_root(struct source *s, struct items *items, struct fail *fail)
{
    for (;;) {
        int err = next(s, fail);
        if (err) {
            return err;
        }
        if (s->event.type == YAML_MAPPING_END_EVENT) {
            return 0;
        }
        bool is_list = s->event.type == YAML_SCALAR_EVENT && span_eq(scalar(s), SPAN("metadata")) &&
                       items->count == 0;
        if (is_list) {
            err = read_list(s, items, fail);
        } else {
            err = skip(s, fail);
            err = err ? err : read_value(s, NULL, fail);
        }
        if (err) {
            return err;
        }
    }
}

static int read_document(struct source *s, struct items *items, struct fail *fail)
{
    static const char shape[] = "expected the list 'metadata'";
    int err = expect(s, YAML_STREAM_START_EVENT, shape, fail);
    err = err ? err : expect(s, YAML_DOCUMENT_START_EVENT, shape, fail);
    err = err ? err : expect(s, YAML_MAPPING_START_EVENT, shape, fail);
    err = err ? err : read_root(s, items, fail);
    err = err ? err : expect(s, YAML_DOCUMENT_END_EVENT, "more than one document", fail);
    err = err ? err : expect(s, YAML_STREAM_END_EVENT, "more than one document", fail);
    if (!err && items->count == 0) {
        err = fail_set(fail, E_INVALID, ".metadata.yml names no config");
    }
    return err;
}

int archive_meta_read(struct span text, struct arena *arena, struct archive_item **ret_items,
                      size_t *ret_count, struct fail *fail)
{
    struct source s = {.arena = arena};
    struct items items = {0};
    if (!yaml_parser_initialize(&s.parser)) {
        return fail_set(fail, E_INTERNAL, "libyaml does not start");
    }
    yaml_parser_set_input_string(&s.parser, (const unsigned char *)(text.data ? text.data : ""),
                                 text.len);
    int err = read_document(&s, &items, fail);
    if (!err) {
        *ret_items = items.list;
        *ret_count = items.count;
    }
    if (s.has_event) {
        yaml_event_delete(&s.event);
    }
    yaml_parser_delete(&s.parser);
    return err;
}

/* ------------------------------------------------------------------ writing YAML */

/* Texts that YAML 1.1 reads as something else when they stand plain. */
static bool is_word(struct span v)
{
    static const char *const words[] = {"~",   "null", "true", "false", "yes", "no",   "on",
                                        "off", "y",    "n",    "=",     "<<",  ".nan", ".inf"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (span_ieq(v, span_str(words[i]))) {
            return true;
        }
    }
    return false;
}

/* May be a number or a date: nothing but what those are made of, from a digit, sign or dot on. */
static bool is_figure(struct span v)
{
    static const char first[] = "0123456789+-.";
    static const char rest[] = "0123456789abcdefABCDEFxXoO_+-.:tTzZinfINF ";
    if (!memchr(first, v.data[0], sizeof(first) - 1)) {
        return false;
    }
    for (size_t i = 0; i < v.len; i++) {
        if (!memchr(rest, v.data[i], sizeof(rest) - 1)) {
            return false;
        }
    }
    return true;
}

static bool emit_scalar(yaml_emitter_t *e, struct span v)
{
    yaml_event_t event;
    /* Line breaks and the like survive in double quotes only. */
    bool odd = false;
    for (size_t i = 0; i < v.len; i++) {
        odd |= (unsigned char)v.data[i] < 0x20;
    }
    yaml_scalar_style_t style = odd ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE;
    bool plain = v.len > 0 && !is_word(v) && !is_figure(v);
    return v.len <= INT32_MAX &&
           yaml_scalar_event_initialize(&event, NULL, NULL,
                                        (const unsigned char *)(v.data ? v.data : ""), (int)v.len,
                                        plain, 1, style) &&
           yaml_emitter_emit(e, &event);
}

/* A key that has a value; none: left out. */
static bool emit_member(yaml_emitter_t *e, struct span key, struct span value)
{
    return !value.data || (emit_scalar(e, key) && emit_scalar(e, value));
}

static bool emit_item(yaml_emitter_t *e, const struct archive_item *item)
{
    yaml_event_t event;
    return yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE) &&
           yaml_emitter_emit(e, &event) && emit_member(e, SPAN("appName"), item->app_name) &&
           emit_member(e, SPAN("dataId"), item->data_id) &&
           emit_member(e, SPAN("desc"), item->desc) && emit_member(e, SPAN("group"), item->group) &&
           emit_member(e, SPAN("type"), item->type) && yaml_mapping_end_event_initialize(&event) &&
           yaml_emitter_emit(e, &event);
}

static bool emit_begin(yaml_emitter_t *e)
{
    yaml_event_t event;
    return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
           yaml_emitter_emit(e, &event) &&
           yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
           yaml_emitter_emit(e, &event) &&
           yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE) &&
           yaml_emitter_emit(e, &event) && emit_scalar(e, SPAN("metadata")) &&
           yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE) &&
           yaml_emitter_emit(e, &event);
}

static bool emit_end(yaml_emitter_t *e)
{
    yaml_event_t event;
    return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(e, &event) &&
           yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(e, &event) &&
           yaml_document_end_event_initialize(&event, 1) && yaml_emitter_emit(e, &event) &&
           yaml_stream_end_event_initialize(&event) && yaml_emitter_emit(e, &event);
}

static int take_bytes(void *arg, unsigned char *data, size_t len)
{
    struct json_out *text = arg;
    json_bytes(text, span_of((const char *)data, len));
    return 1;
}

int archive_meta_write(const struct archive_item *items, size_t count, struct buf **ret_text,
                       struct fail *fail)
{
    yaml_emitter_t e;
    struct json_out text;
    if (!yaml_emitter_initialize(&e)) {
        return fail_set(fail, E_INTERNAL, "libyaml does not start");
    }
    json_init(&text, 64 + 128 * count);
    yaml_emitter_set_unicode(&e, 1);
    yaml_emitter_set_output(&e, take_bytes, &text);
    bool ok = emit_begin(&e);
    for (size_t i = 0; ok && i < count; i++) {
        ok = emit_item(&e, &items[i]);
        if (!ok) {
            (void)fail_set(fail, E_INVALID, "%.*s/%.*s has texts that are not UTF-8",
                           SPAN_ARG(items[i].group), SPAN_ARG(items[i].data_id));
        }
    }
    if (ok && !emit_end(&e)) {
        ok = false;
        (void)fail_set(fail, E_INTERNAL, "libyaml: %s", e.problem ? e.problem : "failed");
    }
    if (ok) {
        *ret_text = json_take(&text);
    }
    yaml_emitter_delete(&e);
    json_close(&text);
    return ok ? 0 : E_INVALID;
}

/* ------------------------------------------------------------------ .meta.yml */

static int by_key(const void *a, const void *b)
{
    const struct archive_app *x = a;
    const struct archive_app *y = b;
    int order = span_cmp(x->key, y->key);
    /* Equal keys: in the order of the lines, which is that of their addresses. */
    return order ? order : (x->key.data > y->key.data) - (x->key.data < y->key.data);
}

/* Of equal keys the last line stays. */
static size_t drop_repeated(struct archive_app *apps, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && span_eq(apps[kept - 1].key, apps[i].key)) {
            kept--;
        }
        apps[kept++] = apps[i];
    }
    return kept;
}

static size_t count_lines(struct span text)
{
    size_t lines = 0;
    while (text.len > 0) {
        (void)span_cut(&text, '\n');
        lines++;
    }
    return lines;
}

/* DIFF(meta-lines): a value may hold '=', lines may end in LF and be blank; what Nacos writes of
 * such an application it does not read again. */
int archive_apps_read(struct span text, struct arena *arena, struct archive_app **ret_apps,
                      size_t *ret_count, struct fail *fail)
{
    size_t lines = count_lines(text);
    struct archive_app *apps = NULL;
    if (lines <= 2 * (size_t)ARCHIVE_ENTRIES_MAX) {
        apps = arena_try(arena, (lines + 1) * sizeof(*apps));
    }
    if (!apps) {
        return fail_set(fail, E_TOO_LARGE, ".meta.yml holds too many lines: %zu", lines);
    }
    size_t count = 0;
    for (size_t line = 1; line <= lines; line++) {
        struct span rest = span_trim(span_cut(&text, '\n'));
        if (span_empty(rest)) {
            continue;
        }
        struct archive_app app = {0};
        app.key = span_cut(&rest, '=');
        app.app_name = rest;
        if (span_empty(app.key) || span_empty(rest)) {
            return fail_set(fail, E_INVALID, ".meta.yml line %zu: expected key=value", line);
        }
        apps[count++] = app;
    }
    qsort(apps, count, sizeof(*apps), by_key);
    *ret_apps = apps;
    *ret_count = drop_repeated(apps, count);
    return 0;
}

static size_t put(char *dst, size_t at, struct span s)
{
    if (s.len > 0) {
        memcpy(dst + at, s.data, s.len);
    }
    return at + s.len;
}

/* "<group>.<name>~<ext>.app" in dst; data NULL: too long. */
static struct span app_key(const struct archive_item *item, char dst[APP_KEY_MAX])
{
    if (item->group.len > APP_KEY_MAX / 4 || item->data_id.len > APP_KEY_MAX / 2) {
        return (struct span){0};
    }
    size_t len = put(dst, 0, item->group);
    len = put(dst, len, SPAN("."));
    size_t name = len;
    len = put(dst, len, item->data_id);
    char *last = memrchr(dst + name, '.', len - name);
    if (last) {
        *last = '~';
    }
    len = put(dst, len, SPAN(".app"));
    return span_of(dst, len);
}

static int find_key(const void *key, const void *member)
{
    const struct span *k = key;
    const struct archive_app *app = member;
    return span_cmp(*k, app->key);
}

struct span archive_apps_find(const struct archive_app *apps, size_t count,
                              const struct archive_item *item)
{
    char text[APP_KEY_MAX];
    struct span key = app_key(item, text);
    if (!key.data || count == 0) {
        return (struct span){0};
    }
    const struct archive_app *found = bsearch(&key, apps, count, sizeof(*apps), find_key);
    return found ? found->app_name : (struct span){0};
}

static bool can_stand(struct span app_name)
{
    return !span_empty(span_trim(app_name)) && !memchr(app_name.data, '\n', app_name.len) &&
           !memchr(app_name.data, '\r', app_name.len);
}

struct buf *archive_apps_write(const struct archive_item *items, size_t count)
{
    struct json_out text;
    json_init(&text, 0);
    for (size_t i = 0; i < count; i++) {
        char buffer[APP_KEY_MAX];
        struct span key = app_key(&items[i], buffer);
        if (key.data && can_stand(items[i].app_name)) {
            json_bytes(&text, key);
            json_bytes(&text, SPAN("="));
            json_bytes(&text, items[i].app_name);
            json_bytes(&text, SPAN("\r\n"));
        }
    }
    struct buf *ret = json_text(&text).len > 0 ? json_take(&text) : NULL;
    json_close(&text);
    return ret;
}
