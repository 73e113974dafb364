/* Decoding ConnectionSetupRequest, and the mails that an edge sends about its streams. */
#include "base/assert.h"
#include "base/mem.h"
#include "conn/conn.h"
#include "wire/json_in.h"

static int check_length(const char *field, struct span text, struct fail *fail)
{
    if (text.len <= CONN_TEXT_MAX) {
        return 0;
    }
    return fail_set(fail, E_LIMIT, "field '%s': expected at most %d bytes, got %zu", field,
                    CONN_TEXT_MAX, text.len);
}

static int read_text(const struct cJSON *doc, const char *field, struct arena *arena,
                     struct span *ret, struct fail *fail)
{
    struct span text = {0};
    int err = json_in_str(doc, field, arena, &text, fail);
    if (err == 0) {
        err = check_length(field, text, fail);
    }
    if (err == 0) {
        *ret = text;
    }
    return err;
}

/* A missing or null map is none; Nacos's own server dies of it (grpc-sdk.md 3.4), and K6 wants it
 * registered. */
static int read_labels(const struct cJSON *doc, struct arena *arena, struct conn_setup *ret,
                       struct fail *fail)
{
    struct json_pair *pairs = NULL;
    size_t count = 0;
    struct fail inner = {0};
    int err =
        json_in_pairs(json_in_get(doc, "labels"), CONN_LABELS_MAX, arena, &pairs, &count, &inner);
    if (err) {
        return fail_set(fail, err, "field 'labels': %s", fail_text(&inner));
    }
    struct conn_label *labels = count ? arena_alloc(arena, count * sizeof(*labels)) : NULL;
    for (size_t i = 0; i < count; i++) {
        err = check_length("labels", pairs[i].key, fail);
        if (err == 0) {
            err = check_length("labels", pairs[i].value, fail);
        }
        if (err) {
            return err;
        }
        labels[i] = (struct conn_label){pairs[i].key, pairs[i].value};
    }
    ret->labels = labels;
    ret->labels_count = count;
    return 0;
}

int conn_setup_decode(struct span body, struct span client_ip, struct arena *arena,
                      struct conn_setup *ret, struct fail *fail)
{
    struct cJSON *doc = NULL;
    struct conn_setup setup = {0};
    int err = check_length("clientIp", client_ip, fail);
    if (err) {
        return err;
    }
    err = json_in_object(body, &doc, fail);
    if (err) {
        return err;
    }
    err = read_text(doc, "clientVersion", arena, &setup.client_version, fail);
    if (err) {
        goto out;
    }
    err = read_text(doc, "tenant", arena, &setup.tenant, fail);
    if (err) {
        goto out;
    }
    err = read_labels(doc, arena, &setup, fail);
    if (err) {
        goto out;
    }
    setup.client_ip = arena_span(arena, client_ip);
    /* Presence decides, not content: {} asks for an ack too (grpc-sdk.md R4). */
    setup.has_ability_table = json_in_has(doc, "abilityTable");
    *ret = setup;
out:
    json_in_free(doc);
    return err;
}

struct span conn_setup_label(const struct conn_setup *setup, const char *key)
{
    for (size_t i = 0; i < setup->labels_count; i++) {
        if (span_eq(setup->labels[i].key, span_str(key))) {
            return setup->labels[i].value;
        }
    }
    return (struct span){0};
}

void conn_mail_free(struct core_mail *take_mail)
{
    if (take_mail->kind == CORE_CONN_OPEN) {
        struct conn_open *open = CONTAINER_OF(take_mail, struct conn_open, mail);
        peer_unref(open->peer);
        arena_close(&open->arena);
        mem_free(open);
        return;
    }
    if (take_mail->kind == CORE_CONN_CLOSED) {
        struct conn_closed *closed = CONTAINER_OF(take_mail, struct conn_closed, mail);
        peer_unref(closed->peer);
        mem_free(closed);
        return;
    }
    ASSERT(take_mail->kind == CORE_CONN_ACK);
    struct conn_ack *ack = CONTAINER_OF(take_mail, struct conn_ack, mail);
    peer_unref(ack->peer);
    mem_free(ack);
}
