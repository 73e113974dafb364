/* An entry of the log: refused whole, or read whole; and what was read makes the same bytes again.
 */
#include "fuzz.h"

#include "consensus/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of((const char *)data, size);
    struct entry_reader reader = {0};
    struct fail fail = {0};
    int err = entry_open(bytes, &reader, &fail);
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
        return 0;
    }
    struct entry_writer again = {0};
    unsigned kind = 0;
    struct span op = {0};
    uint32_t count = 0;
    while (entry_next(&reader, &kind, &op)) {
        REQUIRE(kind >= 1 && kind <= 255);
        REQUIRE(op.len == 0 || (op.data >= bytes.data && op.data + op.len <= bytes.data + size));
        entry_add(&again, kind, op);
        count++;
    }
    if (count > 0) {
        REQUIRE(span_eq(entry_bytes(&again), bytes));
    }
    entry_close(&again);
    return 0;
}
