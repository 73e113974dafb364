/* Hellos of peers, and the file of pins: what a node is told and what it remembers. */
#include "fuzz.h"

#include "base/mem.h"
#include "cluster/hello.h"
#include "cluster/pins.h"

static void check_hello(struct hello *h)
{
    struct fail fail = {0};
    REQUIRE(h->seen_count <= MEMBERS_MAX && h->server_count <= MEMBERS_MAX);
    REQUIRE(h->entry <= MEMBERS_MAX);
    REQUIRE(node_id_is_set(&h->id));
    REQUIRE(memchr(h->release, '\0', sizeof(h->release)));
    REQUIRE(!h->list || h->list->count <= MEMBERS_MAX);
    REQUIRE(!h->form || (h->form->count > 0 && h->form->count <= MEMBERS_MAX));
    struct buf *bytes = hello_encode(h);
    struct hello *again = mem_zalloc(1, sizeof(*again));
    REQUIRE(hello_decode(buf_span(bytes), again, &fail) == 0);
    REQUIRE(again->life == h->life && again->flags == h->flags);
    REQUIRE(!h->form || memcmp(again->form, h->form, sizeof(*h->form)) == 0);
    hello_close(again);
    mem_free(again);
    buf_unref(bytes);
}

static void try_pins(struct span text)
{
    struct pins *pins = mem_zalloc(1, sizeof(*pins));
    struct fail fail = {0};
    int err = pins_decode("peers", text, pins, &fail);
    if (err) {
        fuzz_check_fail(err, &fail);
    } else {
        struct buf *back = pins_encode(pins);
        REQUIRE(pins_decode("peers", buf_span(back), pins, &fail) == 0);
        buf_unref(back);
    }
    mem_free(pins);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of((const char *)data, size);
    struct hello *h = mem_zalloc(1, sizeof(*h));
    struct fail fail = {0};
    int err = hello_decode(text, h, &fail);
    if (err) {
        fuzz_check_fail(err, &fail);
        REQUIRE(h->list == NULL && h->form == NULL);
    } else {
        check_hello(h);
        hello_close(h);
    }
    mem_free(h);
    try_pins(text);
    return 0;
}
