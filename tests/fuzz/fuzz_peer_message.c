/* A message of a peer's stream: as a hello, and as frames. What our walk takes protobuf takes, with
 * the same content; what is read comes back when it is written and read again. */
#include "fuzz.h"

#include <grpc/byte_buffer_reader.h>

#include <peer.pb-c.h>

#include "rpc/links.h"
#include "rpc/links_frame.h"

static void check_hello(struct span bytes)
{
    struct link_hello hello = {0};
    struct fail fail = {0};
    int err = link_read_hello(bytes, &hello, &fail);
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
        return;
    }
    REQUIRE(bytes.len <= LINK_HELLO_MAX);
    grpc_byte_buffer *buffer = link_write_hello(&hello);
    grpc_byte_buffer_reader reader;
    REQUIRE(grpc_byte_buffer_reader_init(&reader, buffer));
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    struct link_hello again = {0};
    REQUIRE(
        link_read_hello(span_of((const char *)GRPC_SLICE_START_PTR(all), GRPC_SLICE_LENGTH(all)),
                        &again, &fail) == 0);
    REQUIRE(memcmp(&hello.id, &again.id, sizeof(hello.id)) == 0);
    REQUIRE(hello.version == again.version && hello.life == again.life &&
            hello.number == again.number);
    grpc_slice_unref(all);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(buffer);
}

static void check_frames(struct span bytes)
{
    struct fail fail = {0};
    int err = link_check_frames(bytes, &fail);
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
        return;
    }
    const uint8_t *data = (const uint8_t *)(bytes.len > 0 ? bytes.data : "");
    Nacre__PeerMessage *m = nacre__peer_message__unpack(NULL, bytes.len, data);
    REQUIRE(m != NULL);
    REQUIRE(m->hello == NULL);
    size_t count = 0;
    while (bytes.len > 0) {
        unsigned kind = 0;
        struct span body = {0};
        REQUIRE(link_read_frame(&bytes, &kind, &body, &fail) == 0);
        REQUIRE(count < m->n_frames);
        REQUIRE(kind >= 1 && kind <= 255 && kind == m->frames[count]->kind);
        REQUIRE(body.len <= LINK_FRAME_MAX && body.len == m->frames[count]->body.len);
        REQUIRE(body.len == 0 || memcmp(body.data, m->frames[count]->body.data, body.len) == 0);
        fuzz_touch(body);
        count++;
    }
    REQUIRE(count == m->n_frames);
    nacre__peer_message__free_unpacked(m, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of((const char *)data, size);
    check_hello(bytes);
    check_frames(bytes);
    return 0;
}
