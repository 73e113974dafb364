/* Sections (snapshots, backups): any bytes are sections or an error, and reading ends. */
#include "fuzz.h"

#include "node/sections.h"

struct input {
    const uint8_t *at;
    size_t left;
};

static int get(void *self, void *dst, size_t len, struct fail *fail)
{
    struct input *in = self;
    if (len > in->left) {
        return fail_set(fail, E_PARSE, "the end");
    }
    memcpy(dst, in->at, len);
    in->at += len;
    in->left -= len;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct byte_source from = {&input, get};
    struct byte_source section = {0};
    struct sections_in in;
    struct fail fail = {0};
    uint32_t kind = 0;
    int err = sections_open(&in, &from, &fail);
    while (!err) {
        err = sections_next(&in, &kind, &section, &fail);
        if (err || kind == SECTION_END) {
            break;
        }
        char some[64];
        size_t len = 1;
        if (kind % 2) {
            err = section.read(section.self, some, 1 + kind % sizeof(some), &fail);
        }
        for (unsigned i = 0; !err && len && i < 8; i++) {
            err = section_read_some(&in, some, sizeof(some), &len, &fail);
        }
    }
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
    }
    return 0;
}
