#include "http/multipart.h"

#include <stdint.h>

#include "base/assert.h"

/* Where the reading stands. */
struct reading {
    struct span rest; /* of the body, from the end of the last delimiter on */
    struct span mark; /* "\r\n--boundary", in buffer */
    bool is_last;     /* the delimiter that was met closes the body */
    unsigned part;    /* number of the current part, from 1, for texts */
    char buffer[4 + MULTIPART_BOUNDARY_MAX];
};

/* What a part's headers say. */
struct part_head {
    struct span name;
    struct span file_name; /* data NULL: a field */
};

static struct span after(struct span s, size_t len)
{
    return len > 0 ? span_of(s.data + len, s.len - len) : s;
}

static struct span before(struct span s, size_t len)
{
    return span_of(s.data, len);
}

/* The offset of wanted in s; SIZE_MAX when it is not there. */
static size_t find(struct span s, struct span wanted)
{
    const char *at = span_empty(s) ? NULL : memmem(s.data, s.len, wanted.data, wanted.len);
    return at ? (size_t)(at - s.data) : SIZE_MAX;
}

static struct span skip_blanks(struct span s)
{
    size_t n = 0;
    while (n < s.len && (s.data[n] == ' ' || s.data[n] == '\t')) {
        n++;
    }
    return after(s, n);
}

/* The end of a value that begins with a quote; a quote after a backslash is none. */
static size_t quoted_end(struct span s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.data[i] == '"' && s.data[i - 1] != '\\') {
            return i;
        }
    }
    return SIZE_MAX;
}

/* Cut the next "name=value" off a header value's parameters; quotes are taken off, nothing is
 * unescaped. False at the end, and at what is none. */
static bool next_param(struct span *rest, struct span *ret_name, struct span *ret_value)
{
    struct span s = skip_blanks(*rest);
    const char *equals = span_empty(s) ? NULL : memchr(s.data, '=', s.len);
    if (!equals) {
        return false;
    }
    size_t name_len = (size_t)(equals - s.data);
    *ret_name = span_trim(before(s, name_len));
    s = skip_blanks(after(s, name_len + 1));
    if (s.len == 0 || s.data[0] != '"') {
        *ret_value = span_trim(span_cut(&s, ';'));
        *rest = s;
        return true;
    }
    size_t end = quoted_end(s);
    if (end == SIZE_MAX) {
        return false;
    }
    *ret_value = span_of(s.data + 1, end - 1);
    s = after(s, end + 1);
    (void)span_cut(&s, ';');
    *rest = s;
    return true;
}

int multipart_boundary(struct span content_type, struct span *ret, struct fail *fail)
{
    struct span rest = content_type;
    struct span name = {0};
    struct span value = {0};
    (void)span_cut(&rest, ';');
    while (next_param(&rest, &name, &value)) {
        if (!span_ieq(name, SPAN("boundary"))) {
            continue;
        }
        if (value.len == 0 || value.len > MULTIPART_BOUNDARY_MAX) {
            return fail_set(fail, E_PARSE, "multipart: a boundary has 1 to %d characters, not %zu",
                            MULTIPART_BOUNDARY_MAX, value.len);
        }
        *ret = value;
        return 0;
    }
    return fail_set(fail, E_PARSE, "multipart: the Content-Type names no boundary");
}

/* What follows a delimiter on its line: "--", or blanks, then the end of the line. False when this
 * is no delimiter but data that begins like one. */
static bool finish_delimiter(struct reading *r, struct span s)
{
    if (span_starts(s, SPAN("--"))) {
        r->is_last = true;
        r->rest = after(s, 2);
        return true;
    }
    s = skip_blanks(s);
    if (!span_starts(s, SPAN("\r\n"))) {
        return false;
    }
    r->rest = after(s, 2);
    return true;
}

/* Go past the next delimiter; *ret_data is what came before it. */
static bool to_delimiter(struct reading *r, struct span *ret_data)
{
    struct span s = r->rest;
    size_t passed = 0;
    for (;;) {
        size_t at = find(after(s, passed), r->mark);
        if (at == SIZE_MAX) {
            return false;
        }
        passed += at;
        if (finish_delimiter(r, after(s, passed + r->mark.len))) {
            *ret_data = before(s, passed);
            return true;
        }
        passed += r->mark.len;
    }
}

/* The first delimiter needs no line end before it; what stands before it is for nobody. */
static bool to_first_delimiter(struct reading *r, struct span body)
{
    struct span first = after(r->mark, 2);
    r->rest = body;
    if (span_starts(body, first) && finish_delimiter(r, after(body, first.len))) {
        return true;
    }
    struct span ignored;
    return to_delimiter(r, &ignored);
}

static int read_disposition(struct reading *r, struct span value, struct part_head *head,
                            struct fail *fail)
{
    if (!span_ieq(span_trim(span_cut(&value, ';')), SPAN("form-data"))) {
        return fail_set(fail, E_PARSE, "multipart: part %u is no form-data", r->part);
    }
    struct span name = {0};
    struct span text = {0};
    while (next_param(&value, &name, &text)) {
        if (span_ieq(name, SPAN("name"))) {
            head->name = text;
        } else if (span_ieq(name, SPAN("filename"))) {
            head->file_name = text;
        }
    }
    return 0;
}

static bool is_plain_encoding(struct span value)
{
    return span_ieq(value, SPAN("7bit")) || span_ieq(value, SPAN("8bit")) ||
           span_ieq(value, SPAN("binary"));
}

static int read_header(struct reading *r, struct span line, struct part_head *head,
                       struct fail *fail)
{
    if (!memchr(line.data, ':', line.len)) {
        return fail_set(fail, E_PARSE, "multipart: part %u has a header without a colon", r->part);
    }
    struct span value = line;
    struct span name = span_trim(span_cut(&value, ':'));
    if (span_ieq(name, SPAN("Content-Disposition"))) {
        return read_disposition(r, value, head, fail);
    }
    if (span_ieq(name, SPAN("Content-Transfer-Encoding")) && !is_plain_encoding(span_trim(value))) {
        return fail_set(fail, E_PARSE,
                        "multipart: part %u has a transfer encoding, which is not supported",
                        r->part);
    }
    return 0;
}

/* The headers of a part, up to their empty line. */
static int read_part_head(struct reading *r, struct part_head *head, struct fail *fail)
{
    size_t look = r->rest.len < MULTIPART_HEAD_MAX ? r->rest.len : MULTIPART_HEAD_MAX;
    struct span lines = before(r->rest, look);
    for (;;) {
        size_t end = find(lines, SPAN("\r\n"));
        if (end == SIZE_MAX) {
            return fail_set(fail, E_PARSE,
                            "multipart: the headers of part %u do not end within %d bytes", r->part,
                            MULTIPART_HEAD_MAX);
        }
        struct span line = before(lines, end);
        lines = after(lines, end + 2);
        if (span_empty(line)) {
            break;
        }
        int err = read_header(r, line, head, fail);
        if (err) {
            return err;
        }
    }
    r->rest = after(r->rest, (size_t)(lines.data - r->rest.data));
    if (span_empty(head->name)) {
        return fail_set(fail, E_PARSE, "multipart: part %u has no name", r->part);
    }
    return 0;
}

static int read_part(struct reading *r, struct multipart *m, struct fail *fail)
{
    struct part_head head = {0};
    struct span data = {0};
    int err = read_part_head(r, &head, fail);
    if (err) {
        return err;
    }
    if (!to_delimiter(r, &data)) {
        return fail_set(fail, E_PARSE, "multipart: part %u does not end with the boundary",
                        r->part);
    }
    if (!head.file_name.data) {
        m->list[m->count++] = (struct api_param){head.name, data};
    } else if (!m->file.data) {
        m->file_field = head.name;
        m->file_name = head.file_name;
        m->file = data;
    }
    return 0;
}

int multipart_read(struct span body, struct span boundary, struct arena *arena,
                   struct multipart *ret, struct fail *fail)
{
    ASSERT(boundary.len > 0 && boundary.len <= MULTIPART_BOUNDARY_MAX);
    struct reading r = {0};
    memcpy(r.buffer, "\r\n--", 4);
    memcpy(r.buffer + 4, boundary.data, boundary.len);
    r.mark = span_of(r.buffer, 4 + boundary.len);
    if (!to_first_delimiter(&r, body)) {
        return fail_set(fail, E_PARSE, "multipart: the boundary is not in the body");
    }
    struct multipart m = {0};
    m.list = arena_alloc(arena, MULTIPART_PARTS_MAX * sizeof(*m.list));
    while (!r.is_last) {
        if (r.part == MULTIPART_PARTS_MAX) {
            return fail_set(fail, E_INVALID, "multipart: more than %d parts", MULTIPART_PARTS_MAX);
        }
        r.part++;
        int err = read_part(&r, &m, fail);
        if (err) {
            return err;
        }
    }
    *ret = m;
    return 0;
}
