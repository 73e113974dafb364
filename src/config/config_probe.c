#include "config/config_probe.h"

#define WORD_END '\2'
#define ENTRY_END '\1'
#define WORDS_MAX 4
#define WORDS_LEAST 3

static int malformed(struct fail *fail)
{
    return fail_set(fail, E_INVALID, "invalid probeModify");
}

static int arena_full(struct fail *fail)
{
    return fail_set(fail, E_TOO_LARGE, "the request takes more memory than it may");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    int lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* As java.net.URLDecoder; but '+', which it makes a blank, stays: no key may hold either. */
static int url_decode(struct span s, struct arena *arena, struct span *ret, struct fail *fail)
{
    char *text = arena_try(arena, s.len + 1);
    if (!text) {
        return arena_full(fail);
    }
    size_t len = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c != '%') {
            text[len++] = c;
            continue;
        }
        int high = s.len - i > 2 ? hex_digit(s.data[i + 1]) : -1;
        int low = s.len - i > 2 ? hex_digit(s.data[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return malformed(fail);
        }
        text[len++] = (char)(unsigned char)(high << 4 | low);
        i += 2;
    }
    *ret = span_of(text, len);
    return 0;
}

static int decode_entry(struct span entry, struct listen_context *ret, struct fail *fail)
{
    struct span words[WORDS_MAX] = {{0}};
    size_t count = 1;
    const char *from = entry.data;
    for (size_t i = 0; i <= entry.len; i++) {
        if (i < entry.len && entry.data[i] != WORD_END) {
            continue;
        }
        words[count - 1] = span_of(from, (size_t)(entry.data + i - from));
        from = entry.data + i + 1;
        if (i < entry.len && count++ == WORDS_MAX) {
            return malformed(fail);
        }
    }
    if (count < WORDS_LEAST) {
        return malformed(fail);
    }
    struct config_key key = {.tenant = words[3], .group = words[1], .data_id = words[0]};
    if (span_empty(config_tenant(key.tenant))) {
        key.tenant = SPAN(""); /* blank passes, as in Nacos */
    }
    int err = config_key_check(&key, false, fail);
    key.tenant = config_tenant(key.tenant);
    *ret = (struct listen_context){.key = key, .tenant_as_sent = words[3], .md5 = words[2]};
    return err;
}

static size_t count_entries(struct span text)
{
    size_t count = text.len > 0 && text.data[text.len - 1] != ENTRY_END;
    for (size_t i = 0; i < text.len; i++) {
        count += text.data[i] == ENTRY_END;
    }
    return count;
}

int config_probe_decode(struct span value, struct arena *arena, struct listen_context **ret_list,
                        size_t *ret_count, struct fail *fail)
{
    struct span text = {0};
    int err = url_decode(value, arena, &text, fail);
    if (err) {
        return err;
    }
    if (config_is_blank(text)) {
        return malformed(fail);
    }
    size_t count = count_entries(text);
    if (count > LISTEN_CONTEXTS_MAX) {
        return fail_set(fail, E_INVALID, "invalid protocol, too much listener");
    }
    struct listen_context *list = arena_try(arena, count * sizeof(*list));
    if (!list) {
        return arena_full(fail);
    }
    for (size_t n = 0; !err && n < count; n++) {
        err = decode_entry(span_cut(&text, ENTRY_END), &list[n], fail);
    }
    if (!err) {
        *ret_list = list;
        *ret_count = count;
    }
    return err;
}
