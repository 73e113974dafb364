#include "cluster/hello.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/assert.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "hello.pb-c.h"

#define PROOF_LABEL "nacre peer 1"

/* Encoding */

static ProtobufCBinaryData pack_bytes(const void *bytes, size_t len)
{
    /* protobuf-c only reads it. */
    union {
        const void *from;
        uint8_t *to;
    } cast = {.from = bytes};
    return (ProtobufCBinaryData){.len = len, .data = cast.to};
}

/* Nothing for what is all zero. */
static ProtobufCBinaryData pack_if_set(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return pack_bytes(bytes, len);
        }
    }
    return (ProtobufCBinaryData){0};
}

/* Room for what repeats while a message is packed. */
struct packing {
    Nacre__HelloSeen seen[MEMBERS_MAX];
    Nacre__HelloSeen *seen_list[MEMBERS_MAX];
    Nacre__HelloServer server[MEMBERS_MAX];
    Nacre__HelloServer *server_list[MEMBERS_MAX];
    Nacre__HelloFormer former[MEMBERS_MAX];
    Nacre__HelloFormer *former_list[MEMBERS_MAX];
    struct json_out list;
};

static void pack_repeated(const struct hello *h, struct packing *p, Nacre__Hello *m)
{
    for (size_t i = 0; i < h->seen_count; i++) {
        nacre__hello_seen__init(&p->seen[i]);
        p->seen[i].number = h->seen[i].number;
        p->seen[i].age_ms = h->seen[i].age_ms;
        p->seen_list[i] = &p->seen[i];
    }
    for (size_t i = 0; i < h->server_count; i++) {
        nacre__hello_server__init(&p->server[i]);
        p->server[i].number = h->server[i].number;
        p->server[i].is_voter = h->server[i].is_voter;
        p->server_list[i] = &p->server[i];
    }
    for (size_t i = 0; h->form && i < h->form->count; i++) {
        const struct form_member *member = &h->form->list[i];
        nacre__hello_former__init(&p->former[i]);
        p->former[i].id = pack_bytes(member->id.bytes, NODE_ID_BYTES);
        p->former[i].generation = member->generation;
        p->former[i].host = pack_bytes(member->host, strlen(member->host));
        p->former[i].port = member->port;
        p->former_list[i] = &p->former[i];
    }
    m->n_seen = h->seen_count;
    m->seen = p->seen_list;
    m->n_servers = h->server_count;
    m->servers = p->server_list;
    m->n_form = h->form ? h->form->count : 0;
    m->form = p->former_list;
}

static void pack_list(const struct member_list *list, struct json_out *out)
{
    for (size_t i = 0; i < list->count; i++) {
        char address[MEMBER_ADDRESS_MAX + 1];
        member_address(list->list[i].host, list->list[i].port, address);
        json_bytes(out, span_str(address));
        json_bytes(out, SPAN("\n"));
    }
}

struct buf *hello_encode(const struct hello *h)
{
    struct packing *p = mem_zalloc(1, sizeof(*p));
    Nacre__Hello m = NACRE__HELLO__INIT;
    json_init(&p->list, 0);
    m.version = h->version;
    m.id = pack_bytes(h->id.bytes, NODE_ID_BYTES);
    m.life = h->life;
    m.cluster_id = pack_if_set(h->cluster_id, CLUSTER_ID_BYTES);
    m.flags = h->flags;
    m.list_hash = pack_bytes(h->list_hash, MEMBERS_HASH_BYTES);
    m.port = h->port;
    m.release = pack_bytes(h->release, strlen(h->release));
    m.generation = h->generation;
    m.agreed = pack_if_set(h->agreed, FORM_BYTES);
    m.nonce = pack_bytes(h->nonce, HELLO_NONCE_BYTES);
    m.proof = pack_if_set(h->proof, HELLO_PROOF_BYTES);
    m.entry = h->entry;
    m.leader = h->leader;
    pack_repeated(h, p, &m);
    if (h->list) {
        pack_list(h->list, &p->list);
        m.list = pack_bytes(json_text(&p->list).data, json_text(&p->list).len);
    }
    size_t len = nacre__hello__get_packed_size(&m);
    char *bytes = mem_alloc(len);
    (void)nacre__hello__pack(&m, (uint8_t *)bytes);
    json_close(&p->list);
    mem_free(p);
    return buf_take(bytes, len);
}

/* Decoding */

static bool take_fixed(ProtobufCBinaryData from, uint8_t *dst, size_t len)
{
    if (from.len != len) {
        return false;
    }
    memcpy(dst, from.data, len);
    return true;
}

static bool take_optional(ProtobufCBinaryData from, uint8_t *dst, size_t len)
{
    return from.len == 0 || take_fixed(from, dst, len);
}

static int bad(const char *field, struct fail *fail)
{
    return fail_set(fail, E_PARSE, "hello: field %s is malformed", field);
}

static int take_scalars(const Nacre__Hello *m, struct hello *h, struct fail *fail)
{
    h->version = m->version;
    h->life = m->life;
    h->flags = m->flags;
    h->generation = m->generation;
    h->leader = m->leader;
    h->entry = m->entry;
    if (m->entry > MEMBERS_MAX) {
        return bad("entry", fail);
    }
    if (m->port == 0 || m->port > UINT16_MAX) {
        return bad("port", fail);
    }
    h->port = (uint16_t)m->port;
    if (m->release.len > HELLO_RELEASE_MAX) {
        return bad("release", fail);
    }
    for (size_t i = 0; i < m->release.len; i++) {
        char c = (char)m->release.data[i];
        h->release[i] = (char)(c >= ' ' && c <= '~' ? c : '?');
    }
    return 0;
}

static int take_bytes(const Nacre__Hello *m, struct hello *h, struct fail *fail)
{
    if (!take_fixed(m->id, h->id.bytes, NODE_ID_BYTES) || !node_id_is_set(&h->id)) {
        return bad("id", fail);
    }
    if (!take_optional(m->cluster_id, h->cluster_id, CLUSTER_ID_BYTES)) {
        return bad("cluster_id", fail);
    }
    if (!take_fixed(m->list_hash, h->list_hash, MEMBERS_HASH_BYTES)) {
        return bad("list_hash", fail);
    }
    if (!take_optional(m->agreed, h->agreed, FORM_BYTES)) {
        return bad("agreed", fail);
    }
    if (!take_fixed(m->nonce, h->nonce, HELLO_NONCE_BYTES)) {
        return bad("nonce", fail);
    }
    if (!take_optional(m->proof, h->proof, HELLO_PROOF_BYTES)) {
        return bad("proof", fail);
    }
    return 0;
}

/* A canonical list is its own canonical form, nothing twice. */
static int take_list(const Nacre__Hello *m, struct hello *h, struct fail *fail)
{
    if (m->list.len == 0) {
        return 0;
    }
    h->list = mem_zalloc(1, sizeof(*h->list));
    struct span text = span_of((const char *)m->list.data, m->list.len);
    int err = members_parse("hello: list,", text, MEMBER_PORT_DEFAULT, h->list, fail);
    return err ? bad("list", fail) : 0;
}

/* host is what a list of members would make of it. */
static bool is_canonical(struct span host, uint16_t port, struct form_member *member)
{
    char text[MEMBER_HOST_MAX + 3];
    bool is_ipv6 = host.len > 0 && memchr(host.data, ':', host.len);
    int len = snprintf(text, sizeof(text), "%s%.*s%s", is_ipv6 ? "[" : "", SPAN_ARG(host),
                       is_ipv6 ? "]" : "");
    struct member_list *one = mem_zalloc(1, sizeof(*one));
    bool ok = len > 0 && (size_t)len < sizeof(text) &&
              members_parse("", span_of(text, (size_t)len), port, one, NULL) == 0 &&
              one->count == 1 && one->list[0].port == port &&
              span_eq(span_str(one->list[0].host), host);
    if (ok) {
        memcpy(member->host, one->list[0].host, sizeof(member->host));
    }
    mem_free(one);
    return ok;
}

static int take_former(const Nacre__HelloFormer *m, struct form *form, struct fail *fail)
{
    struct form_member member = {.generation = m->generation, .port = (uint16_t)m->port};
    struct span host = span_of((const char *)m->host.data, m->host.len);
    bool ok = take_fixed(m->id, member.id.bytes, NODE_ID_BYTES) && m->port > 0 &&
              m->port <= MEMBER_PORT_MAX && host.len <= MEMBER_HOST_MAX &&
              is_canonical(host, member.port, &member);
    return ok && form_join(form, &member) ? 0 : bad("form", fail);
}

static int take_repeated(const Nacre__Hello *m, struct hello *h, struct fail *fail)
{
    if (m->n_seen > MEMBERS_MAX || m->n_servers > MEMBERS_MAX || m->n_form > MEMBERS_MAX) {
        return bad("seen, servers or form (too many)", fail);
    }
    for (size_t i = 0; i < m->n_seen; i++) {
        h->seen[i] = (struct hello_seen){m->seen[i]->number, m->seen[i]->age_ms};
    }
    h->seen_count = m->n_seen;
    for (size_t i = 0; i < m->n_servers; i++) {
        h->server[i] = (struct hello_server){m->servers[i]->number, m->servers[i]->is_voter};
    }
    h->server_count = m->n_servers;
    if (m->n_form == 0) {
        return 0;
    }
    h->form = mem_zalloc(1, sizeof(*h->form));
    for (size_t i = 0; i < m->n_form; i++) {
        int err = take_former(m->form[i], h->form, fail);
        if (err) {
            return err;
        }
    }
    return 0;
}

int hello_decode(struct span bytes, struct hello *ret, struct fail *fail)
{
    if (bytes.len > HELLO_BYTES_MAX) {
        return fail_set(fail, E_TOO_LARGE, "hello: expected at most %u bytes, found %zu",
                        HELLO_BYTES_MAX, bytes.len);
    }
    Nacre__Hello *m = nacre__hello__unpack(NULL, bytes.len, (const uint8_t *)bytes.data);
    if (!m) {
        return fail_set(fail, E_PARSE, "hello: not a message of hello.proto");
    }
    int err = 0;
    struct hello *h = mem_zalloc(1, sizeof(*h));
    if (m->version != HELLO_VERSION) {
        err = fail_set(fail, E_UNSUPPORTED, "hello: protocol version %u, expected %d", m->version,
                       HELLO_VERSION);
    }
    err = err ? err : take_scalars(m, h, fail);
    err = err ? err : take_bytes(m, h, fail);
    err = err ? err : take_repeated(m, h, fail);
    err = err ? err : take_list(m, h, fail);
    if (err) {
        hello_close(h);
    } else {
        *ret = *h;
    }
    mem_free(h);
    nacre__hello__free_unpacked(m, NULL);
    return err;
}

void hello_close(struct hello *h)
{
    mem_free(h->list);
    mem_free(h->form);
    h->list = NULL;
    h->form = NULL;
}

/* The proof */

void hello_prove(const struct hello_proof *p, uint8_t dst[HELLO_PROOF_BYTES])
{
    uint8_t text[sizeof(PROOF_LABEL) + (size_t)2 * (NODE_ID_BYTES + HELLO_NONCE_BYTES)] =
        PROOF_LABEL;
    uint8_t *at = text + sizeof(PROOF_LABEL);
    memcpy(at, p->sender->bytes, NODE_ID_BYTES);
    at += NODE_ID_BYTES;
    memcpy(at, p->receiver->bytes, NODE_ID_BYTES);
    at += NODE_ID_BYTES;
    memcpy(at, p->sender_nonce, HELLO_NONCE_BYTES);
    at += HELLO_NONCE_BYTES;
    memcpy(at, p->receiver_nonce, HELLO_NONCE_BYTES);
    unsigned len = 0;
    const unsigned char *made =
        HMAC(EVP_sha256(), p->secret.data, (int)p->secret.len, text, sizeof(text), dst, &len);
    ASSERT(made != NULL);
    ASSERT(len == HELLO_PROOF_BYTES);
}

bool hello_is_proven(const struct hello_proof *p, const uint8_t proof[HELLO_PROOF_BYTES])
{
    uint8_t wanted[HELLO_PROOF_BYTES];
    hello_prove(p, wanted);
    return CRYPTO_memcmp(wanted, proof, sizeof(wanted)) == 0;
}
