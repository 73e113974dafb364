#include "listen_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

void bed_open(struct listen_bed *b)
{
    *b = (struct listen_bed){
        .c = {.options = {.content_chars_max = 10485760,
                          .gray_max = CONFIG_GRAY_MAX,
                          .notify_retry_ms = 1000,
                          .notify_tries_max = 3,
                          .poll_hold_least_ms = 10000,
                          .polls_max = 100,
                          .listens_max = 20000}},
        .now = {.mono_ms = 1000000, .wall_ms = 1712000000000},
    };
    b->c.view = view_create();
    b->c.edge = (struct config_edge){.view = b->c.view, .content_chars_max = 10485760};
}

static void forget_values(struct listen_bed *b)
{
    struct item *i = NULL;
    struct item *next = NULL;
    HASH_ITER(hh, b->c.items, i, next)
    {
        if (i->value) {
            item_set_value(&b->c, i, NULL, b->now);
            i->id = 0;
        }
        (void)item_release(&b->c, i);
    }
}

void bed_close(struct listen_bed *b)
{
    while (b->c.conns) {
        listen_conn_close(&b->c, b->c.conns);
    }
    assert_int_equal(b->c.poll_count, 0); /* the test has answered them */
    forget_values(b);
    assert_null(b->c.items);
    assert_int_equal(b->c.listen_count, 0);
    assert_int_equal(b->c.notices.count, 0);
    deadlines_close(&b->c.notices);
    deadlines_close(&b->c.poll_ends);
    outbox_close(&b->out);
    view_destroy(b->c.view);
}

void bed_connect(struct listen_bed *b, uint64_t conn, const char *ip, const char *tag)
{
    struct config_conn open = {
        .conn = conn, .id = SPAN("id"), .client_ip = span_str(ip), .tag = span_str(tag)};
    config_conn_open(&b->c, &open, b->now);
}

static struct config_version *version_of(const char *content, bool cold)
{
    struct span text = span_str(content);
    uint8_t md5[CONFIG_MD5_BYTES];
    config_md5(text, md5);
    struct buf *bytes = cold ? NULL : buf_create(text);
    struct config_version_parts parts = {.type = CONFIG_TEXT,
                                         .length = (uint32_t)text.len,
                                         .md5 = md5,
                                         .modified_ms = 1712000000000,
                                         .content = bytes};
    struct config_version *v = config_version_create(&parts);
    buf_unref(bytes);
    return v;
}

/* Give the item another value and tell those whom it concerns; the item may be gone afterwards. */
static struct item *change(struct listen_bed *b, struct item *i, struct config_version *formal,
                           const struct config_gray *gray, size_t gray_count)
{
    struct config_value *value =
        formal || gray_count > 0 ? config_value_create(formal, gray, gray_count) : NULL;
    i->id = formal ? ++b->c.last_id : 0;
    item_set_value(&b->c, i, value, b->now);
    listen_on_change(&b->c, i, b->now);
    poll_on_change(&b->c, i, b->now, &b->out);
    return item_release(&b->c, i) ? NULL : i;
}

static struct item *set(struct listen_bed *b, const char *tenant, const char *data_id,
                        const char *content, bool cold)
{
    struct config_key key = {span_str(tenant), SPAN("DEFAULT_GROUP"), span_str(data_id)};
    struct item *i = item_obtain(&b->c, &key);
    struct config_version *formal = content ? version_of(content, cold) : NULL;
    struct config_value *old =
        i->value ? CONTAINER_OF(view_value_ref(&i->value->base), struct config_value, base) : NULL;
    i = change(b, i, formal, old ? old->gray : NULL, old ? old->gray_count : 0);
    if (old) {
        view_value_unref(&old->base);
    }
    config_version_unref(formal);
    return i;
}

struct item *bed_set(struct listen_bed *b, const char *tenant, const char *data_id,
                     const char *content)
{
    return set(b, tenant, data_id, content, false);
}

struct item *bed_set_cold(struct listen_bed *b, const char *data_id, const char *content)
{
    return set(b, "", data_id, content, true);
}

struct item *bed_set_gray(struct listen_bed *b, const char *data_id, const char *name,
                          const char *rule, const char *content)
{
    struct config_key key = {SPAN(""), SPAN("DEFAULT_GROUP"), span_str(data_id)};
    struct item *i = item_obtain(&b->c, &key);
    struct config_version *formal =
        i->value && i->value->formal ? config_version_ref(i->value->formal) : NULL;
    struct config_gray gray = {
        .version = version_of(content, false),
        .is_beta = strcmp(name, "beta") == 0,
        .name = span_str(name),
        .rule = span_str(rule),
    };
    uint64_t id = i->id;
    i = change(b, i, formal, &gray, 1);
    i->id = id;
    config_version_unref(gray.version);
    config_version_unref(formal);
    return i;
}

const char *bed_md5(const char *content)
{
    static char texts[8][CONFIG_MD5_TEXT + 1];
    static unsigned next;
    if (!content) {
        return "";
    }
    char *text = texts[next++ % 8];
    uint8_t md5[CONFIG_MD5_BYTES];
    config_md5(span_str(content), md5);
    config_md5_text(md5, text);
    return text;
}

struct listen_context bed_context(const char *tenant, const char *data_id, const char *md5)
{
    struct span sent = span_str(tenant);
    return (struct listen_context){
        .key = {config_tenant(sent), SPAN("DEFAULT_GROUP"), span_str(data_id)},
        .tenant_as_sent = sent,
        .md5 = span_str(md5),
    };
}

size_t bed_pushes(struct listen_bed *b, char (*ret_texts)[512], size_t max)
{
    size_t count = 0;
    for (size_t n = 0; n < b->out.count; n++) {
        const struct effect *e = &b->out.list[n];
        if (e->kind != EFFECT_PUSH) {
            continue;
        }
        if (count < max) {
            char json[256] = "";
            assert_true(body_len(&e->u.push.body) < sizeof(json));
            body_copy(&e->u.push.body, json);
            int len = snprintf(ret_texts[count], 512, "%s %s ->", e->u.push.type, json);
            for (size_t k = 0; k < e->u.push.count && len < 500; k++) {
                len += snprintf(ret_texts[count] + len, 512 - (size_t)len, " %llu",
                                (unsigned long long)e->u.push.conns[k]);
            }
        }
        count++;
    }
    outbox_clear(&b->out, 0);
    return count;
}

uint64_t bed_next_notice(struct listen_bed *b)
{
    uint64_t at_ms = listen_deadline(&b->c);
    assert_true(at_ms != DEADLINE_NONE);
    uint64_t waited = at_ms > b->now.mono_ms ? at_ms - b->now.mono_ms : 0;
    b->now.mono_ms += waited;
    listen_turn(&b->c, b->now, &b->out);
    return waited;
}
