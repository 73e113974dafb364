#include "cluster/form.h"

#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/assert.h"

#define LABEL "nacre first configuration 1\n"
#define LINE_BYTES (NODE_ID_TEXT + MEMBER_ADDRESS_MAX + 32)

bool form_join(struct form *f, const struct form_member *member)
{
    if (f->count == MEMBERS_MAX || member->generation == 0) {
        return false;
    }
    uint64_t number = node_id_number(&member->id);
    size_t at = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct form_member *other = &f->list[i];
        uint64_t theirs = node_id_number(&other->id);
        bool is_same_place = other->port == member->port && strcmp(other->host, member->host) == 0;
        if (theirs == number || is_same_place) {
            return false;
        }
        at = theirs < number ? i + 1 : at;
    }
    memmove(&f->list[at + 1], &f->list[at], (f->count - at) * sizeof(f->list[0]));
    f->list[at] = *member;
    f->count++;
    return true;
}

const struct form_member *form_find(const struct form *f, const struct node_id *id)
{
    for (size_t i = 0; i < f->count; i++) {
        if (node_id_eq(&f->list[i].id, id)) {
            return &f->list[i];
        }
    }
    return NULL;
}

void form_digest(const struct form *f, uint8_t dst[FORM_BYTES])
{
    char text[sizeof(LABEL) + (size_t)MEMBERS_MAX * LINE_BYTES] = LABEL;
    size_t len = sizeof(LABEL) - 1;
    for (size_t i = 0; i < f->count; i++) {
        char id[NODE_ID_TEXT + 1];
        char address[MEMBER_ADDRESS_MAX + 1];
        node_id_text(&f->list[i].id, id);
        member_address(f->list[i].host, f->list[i].port, address);
        int n = snprintf(text + len, sizeof(text) - len, "%s %llu %s\n", id,
                         (unsigned long long)f->list[i].generation, address);
        ASSERT(n > 0 && (size_t)n < sizeof(text) - len);
        len += (size_t)n;
    }
    (void)SHA256((const unsigned char *)text, len, dst);
}

bool form_makes(const struct form *f, const uint8_t cluster_id[CLUSTER_ID_BYTES])
{
    uint8_t digest[FORM_BYTES];
    form_digest(f, digest);
    return f->count > 0 && memcmp(digest, cluster_id, CLUSTER_ID_BYTES) == 0;
}

bool form_digest_is_set(const uint8_t digest[FORM_BYTES])
{
    static const uint8_t none[FORM_BYTES];
    return memcmp(digest, none, FORM_BYTES) != 0;
}
