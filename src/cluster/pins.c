#include "cluster/pins.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "base/json_out.h"
#include "base/mem.h"

#define HEAD "nacre-peers 1"
#define TMP_NAME PINS_NAME ".new"
#define SUM_LEN (4 + 2 * SHA256_DIGEST_LENGTH + 1) /* "sum ", digits, line end */
#define LINE_MAX_BYTES 512

static const char *const STAGES[] = {
    [PINS_NEW] = "new",
    [PINS_FORMING] = "forming",
    [PINS_JOINING] = "joining",
    [PINS_MEMBER] = "member",
};

/* Writing */

static void put_hex(char *dst, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        dst[2 * i] = digits[bytes[i] >> 4];
        dst[2 * i + 1] = digits[bytes[i] & 15];
    }
    dst[2 * count] = '\0';
}

static void put_pin(struct json_out *out, const struct pin *p)
{
    char line[LINE_MAX_BYTES];
    char id[NODE_ID_TEXT + 1];
    char address[MEMBER_ADDRESS_MAX + 1];
    node_id_text(&p->id, id);
    member_address(p->host, p->port, address);
    int len = snprintf(line, sizeof(line), "%s %u %s %016" PRIx64 " %s\n",
                       p->is_self ? "self" : "pin", p->slot, id, p->generation, address);
    json_bytes(out, span_of(line, (size_t)len));
}

struct buf *pins_encode(const struct pins *pins)
{
    struct json_out out;
    json_init(&out, 0);
    char line[LINE_MAX_BYTES];
    char cluster[2 * CLUSTER_ID_BYTES + 1];
    char agreed[2 * FORM_BYTES + 1];
    put_hex(cluster, pins->cluster_id, CLUSTER_ID_BYTES);
    put_hex(agreed, pins->agreed, FORM_BYTES);
    int len = snprintf(line, sizeof(line),
                       HEAD "\nstage %s\ngeneration %016" PRIx64 "\ncluster %s\nagreed %s\n",
                       STAGES[pins->stage], pins->generation, cluster, agreed);
    json_bytes(&out, span_of(line, (size_t)len));
    for (size_t i = 0; i < pins->count; i++) {
        put_pin(&out, &pins->list[i]);
    }
    uint8_t sum[SHA256_DIGEST_LENGTH];
    char digits[2 * SHA256_DIGEST_LENGTH + 1];
    struct span text = json_text(&out);
    (void)SHA256((const unsigned char *)text.data, text.len, sum);
    put_hex(digits, sum, sizeof(sum));
    len = snprintf(line, sizeof(line), "sum %s\n", digits);
    json_bytes(&out, span_of(line, (size_t)len));
    struct buf *made = buf_create(json_text(&out));
    json_close(&out);
    return made;
}

/* Reading */

static int damaged(const char *name, unsigned line, const char *what, struct fail *fail)
{
    return fail_set(fail, E_CORRUPT,
                    "%s line %u: expected %s; restore it, or remove it: keys of peers are then "
                    "learned anew from the listed addresses",
                    name, line, what);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(struct span text, uint8_t *dst, size_t count)
{
    if (text.len != 2 * count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text.data[2 * i]);
        int low = hex_digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        dst[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool take_u64(struct span text, uint64_t *ret)
{
    uint8_t bytes[sizeof(*ret)];
    if (!take_hex(text, bytes, sizeof(bytes))) {
        return false;
    }
    *ret = 0;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        *ret = *ret << 8 | bytes[i];
    }
    return true;
}

static bool take_stage(struct span text, struct pins *p)
{
    for (size_t i = 0; i < ARRAY_LEN(STAGES); i++) {
        if (span_eq(text, span_str(STAGES[i]))) {
            p->stage = (enum pins_stage)i;
            return true;
        }
    }
    return false;
}

/* "SLOT ID GENERATION ADDRESS" */
static bool take_pin(struct span text, bool is_self, struct pins *p)
{
    struct span rest = text;
    struct span slot = span_cut(&rest, ' ');
    struct span id = span_cut(&rest, ' ');
    struct span generation = span_cut(&rest, ' ');
    struct pin pin = {.is_self = is_self};
    long long number = 0;
    if (p->count == PINS_MAX || !span_int(slot, &number) || number < 0 || number >= MEMBERS_MAX ||
        !take_hex(id, pin.id.bytes, NODE_ID_BYTES) || !take_u64(generation, &pin.generation)) {
        return false;
    }
    struct member_list *one = mem_zalloc(1, sizeof(*one));
    bool ok = members_parse("", rest, MEMBER_PORT_DEFAULT, one, NULL) == 0 && one->count == 1;
    if (ok) {
        memcpy(pin.host, one->list[0].host, sizeof(pin.host));
        pin.port = one->list[0].port;
    }
    mem_free(one);
    for (size_t i = 0; ok && i < p->count; i++) {
        ok = !node_id_eq(&p->list[i].id, &pin.id) &&
             (p->list[i].slot != (unsigned)number || p->list[i].is_self || is_self);
    }
    if (!ok || !node_id_is_set(&pin.id)) {
        return false;
    }
    pin.slot = (unsigned)number;
    p->list[p->count++] = pin;
    return true;
}

static bool take_line(struct span line, struct pins *p)
{
    struct span rest = line;
    struct span word = span_cut(&rest, ' ');
    if (span_eq(word, SPAN("stage"))) {
        return take_stage(rest, p);
    }
    if (span_eq(word, SPAN("generation"))) {
        return take_u64(rest, &p->generation);
    }
    if (span_eq(word, SPAN("cluster"))) {
        return take_hex(rest, p->cluster_id, CLUSTER_ID_BYTES);
    }
    if (span_eq(word, SPAN("agreed"))) {
        return take_hex(rest, p->agreed, FORM_BYTES);
    }
    bool is_self = span_eq(word, SPAN("self"));
    return (is_self || span_eq(word, SPAN("pin"))) && take_pin(rest, is_self, p);
}

static bool sum_holds(struct span text)
{
    if (text.len < SUM_LEN) {
        return false;
    }
    uint8_t wanted[SHA256_DIGEST_LENGTH];
    uint8_t found[SHA256_DIGEST_LENGTH];
    const char *sum = text.data + text.len - SUM_LEN;
    (void)SHA256((const unsigned char *)text.data, text.len - SUM_LEN, wanted);
    return memcmp(sum, "sum ", 4) == 0 && text.data[text.len - 1] == '\n' &&
           take_hex(span_of(sum + 4, 2 * sizeof(found)), found, sizeof(found)) &&
           memcmp(wanted, found, sizeof(found)) == 0;
}

int pins_decode(const char *name, struct span text, struct pins *ret, struct fail *fail)
{
    struct span rest = text;
    if (!span_eq(span_cut(&rest, '\n'), SPAN(HEAD))) {
        return damaged(name, 1, "\"" HEAD "\"", fail);
    }
    if (text.len > PINS_BYTES_MAX || !sum_holds(text)) {
        return fail_set(fail, E_CORRUPT,
                        "%s is damaged (its sum does not hold); restore it, or remove it: keys of "
                        "peers are then learned anew from the listed addresses",
                        name);
    }
    struct pins *p = mem_zalloc(1, sizeof(*p));
    int err = 0;
    rest.len -= SUM_LEN;
    for (unsigned line = 2; err == 0 && rest.len > 0; line++) {
        if (!take_line(span_cut(&rest, '\n'), p)) {
            err = damaged(name, line, "stage, generation, cluster, agreed, pin or self", fail);
        }
    }
    if (err == 0) {
        *ret = *p;
    }
    mem_free(p);
    return err;
}

/* Files */

/* All of fd, at most size bytes. */
static ssize_t read_all(int fd, char *dst, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, dst + len, size - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
    }
    return (ssize_t)len;
}

int pins_read(const char *dir, struct pins *ret, bool *ret_is_there, struct fail *fail)
{
    char path[PATH_MAX];
    int path_len = snprintf(path, sizeof(path), "%s/%s", dir, PINS_NAME);
    if (path_len < 0 || (size_t)path_len >= sizeof(path)) {
        return fail_set(fail, E_IO, "the data directory's path is too long");
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        *ret = (struct pins){0};
        *ret_is_there = false;
        return 0;
    }
    if (fd < 0) {
        return fail_set(fail, E_IO, "cannot open %s: %s", path, strerror(errno));
    }
    int err = 0;
    char *text = mem_alloc(PINS_BYTES_MAX + 1);
    ssize_t len = read_all(fd, text, PINS_BYTES_MAX + 1);
    if (len < 0) {
        err = fail_set(fail, E_IO, "cannot read %s: %s", path, strerror(errno));
    } else {
        err = pins_decode(path, span_of(text, (size_t)len), ret, fail);
    }
    *ret_is_there = err == 0;
    mem_free(text);
    close(fd);
    return err;
}

bool pins_are_there(const char *dir)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", dir, PINS_NAME);
    return len > 0 && (size_t)len < sizeof(path) && access(path, F_OK) == 0;
}

static bool write_all(int fd, struct span text)
{
    size_t done = 0;
    while (done < text.len) {
        ssize_t n = write(fd, text.data + done, text.len - done);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static int write_in(int dir, const char *path, struct span text, struct fail *fail)
{
    if (unlinkat(dir, TMP_NAME, 0) != 0 && errno != ENOENT) {
        return fail_set(fail, E_IO, "cannot remove %s/%s: %s", path, TMP_NAME, strerror(errno));
    }
    int fd = openat(dir, TMP_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return fail_set(fail, errno == ENOSPC ? E_FULL : E_IO, "cannot make %s/%s: %s", path,
                        TMP_NAME, strerror(errno));
    }
    bool ok = write_all(fd, text) && fsync(fd) == 0 &&
              renameat(dir, TMP_NAME, dir, PINS_NAME) == 0 && fsync(dir) == 0;
    int err = ok ? 0
                 : fail_set(fail, errno == ENOSPC ? E_FULL : E_IO, "cannot write %s/%s: %s", path,
                            PINS_NAME, strerror(errno));
    close(fd);
    return err;
}

int pins_write(const char *dir, struct span text, struct fail *fail)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return fail_set(fail, E_IO, "cannot open the data directory %s: %s", dir, strerror(errno));
    }
    int err = write_in(fd, dir, text, fail);
    close(fd);
    return err;
}
