/* What operators set over instances. */
#include "naming/overlay.h"

#include <string.h>

#include "api/v2_codes.h"
#include "base/mem.h"
#include "naming/naming_digest.h"

/* Published pairs with the overlay's put over them. */
static size_t merge_metadata(const struct instance *i, const struct overlay *o,
                             struct instance_pair *dst)
{
    size_t count = 0;
    for (size_t p = 0; p < i->metadata_count; p++) {
        dst[count++] = i->metadata[p];
    }
    for (size_t p = 0; p < o->metadata_count; p++) {
        size_t at = 0;
        while (at < i->metadata_count && !span_eq(dst[at].key, o->metadata[p].key)) {
            at++;
        }
        if (at == i->metadata_count) {
            dst[count++] = o->metadata[p];
        } else {
            dst[at].value = o->metadata[p].value;
        }
    }
    return count;
}

struct instance *overlay_effective(const struct service *s, struct instance *i,
                                   const struct overlay *o)
{
    if (!o) {
        return instance_ref(i);
    }
    struct instance_data d = instance_as_data(i);
    struct instance_pair *pairs =
        mem_alloc((i->metadata_count + o->metadata_count + 1) * sizeof(*pairs));
    d.metadata_count = merge_metadata(i, o, pairs);
    d.metadata = pairs;
    d.weight = o->has_weight ? o->weight : d.weight;
    d.enabled = o->has_enabled ? o->enabled : d.enabled;
    struct instance *effective = instance_create(&d, s->grouped, i->client);
    mem_free(pairs);
    return effective;
}

struct instance_pair *overlay_pairs_copy(const struct instance_pair *pairs, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += pairs[i].key.len + pairs[i].value.len;
    }
    if (count == 0) {
        return NULL;
    }
    struct instance_pair *copy = mem_alloc(count * sizeof(*copy) + bytes);
    char *at = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        struct span from[2] = {pairs[i].key, pairs[i].value};
        struct span to[2];
        for (int half = 0; half < 2; half++) {
            if (from[half].len > 0) {
                memcpy(at, from[half].data, from[half].len);
            }
            to[half] = span_of(at, from[half].len);
            at += from[half].len;
        }
        copy[i] = (struct instance_pair){to[0], to[1]};
    }
    return copy;
}

static bool key_removed(const struct naming_op *op, struct span key)
{
    for (size_t i = 0; i < op->metadata_remove_count; i++) {
        if (span_eq(op->metadata_remove[i], key)) {
            return true;
        }
    }
    for (size_t i = 0; i < op->metadata_count; i++) {
        if (span_eq(op->metadata[i].key, key)) {
            return true; /* given anew */
        }
    }
    return false;
}

/* The overlay's metadata after op, in *ret (mem_alloc'ed, texts borrowed). */
static int overlay_metadata(const struct overlay *o, const struct naming_op *op,
                            struct instance_pair **ret, size_t *ret_count, struct fail *fail)
{
    size_t kept = op->merge_metadata && o ? o->metadata_count : 0;
    struct instance_pair *list = mem_alloc((kept + op->metadata_count + 1) * sizeof(*list));
    size_t count = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < kept; i++) {
        if (!key_removed(op, o->metadata[i].key)) {
            list[count++] = o->metadata[i];
        }
    }
    for (size_t i = 0; i < op->metadata_count; i++) {
        list[count++] = op->metadata[i];
    }
    for (size_t i = 0; i < count; i++) {
        bytes += list[i].key.len + list[i].value.len;
    }
    if (count > INSTANCE_METADATA_MAX || bytes > NAMING_OP_METADATA_BYTES_MAX) {
        mem_free(list);
        return fail_set(fail, E_LIMIT,
                        "metadata set over one instance: at most %d pairs and %u bytes",
                        INSTANCE_METADATA_MAX, NAMING_OP_METADATA_BYTES_MAX);
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

static int check_instance(const struct service *s, const struct naming_op *op, struct fail *fail)
{
    if (!s || s->shown_count == 0) {
        return fail_set_codes(fail, E_NOT_FOUND, 404, V2_RESOURCE_NOT_FOUND,
                              "no ips found for cluster %.*s in service %.*s@@%.*s",
                              SPAN_ARG(op->cluster), SPAN_ARG(op->service.group),
                              SPAN_ARG(op->service.name));
    }
    const struct instance_slot *slot = instance_slot_find(s, op->ip, op->port, op->cluster);
    if (!slot || !slot->newest) {
        return fail_set_codes(fail, E_NOT_FOUND, 404, V2_RESOURCE_NOT_FOUND,
                              "no matched ip found!");
    }
    return 0;
}

int overlay_check(const struct service *s, const struct naming_op *op, struct fail *fail)
{
    if (op->must_exist) {
        return check_instance(s, op, fail);
    }
    if (s) {
        return 0;
    }
    /* Nacos shows its service object, whose flag and revision are those of the request. */
    const struct service_name *name = &op->service;
    return fail_set_codes(fail, E_INVALID, 400, V2_INSTANCE_ERROR,
                          "service not found, namespace: %.*s, service: "
                          "Service{namespace='%.*s', group='%.*s', name='%.*s', ephemeral=true, "
                          "revision=0}",
                          SPAN_ARG(name->namespace_id), SPAN_ARG(name->namespace_id),
                          SPAN_ARG(name->group), SPAN_ARG(name->name));
}

int overlay_put(struct service *s, const struct naming_op *op, struct instance_slot **ret_slot,
                struct fail *fail)
{
    struct instance_slot *slot = instance_slot_obtain(s, op->ip, op->port, op->cluster);
    struct instance_pair *list = NULL;
    size_t count = 0;
    int err = overlay_metadata(slot->overlay, op, &list, &count, fail);
    if (err) {
        instance_slot_release(s, slot);
        return err;
    }
    *s->digest -= naming_piece_overlay(s, slot);
    if (!slot->overlay) {
        slot->overlay = mem_zalloc(1, sizeof(*slot->overlay));
        s->overlay_count++;
    }
    struct overlay *o = slot->overlay;
    struct instance_pair *copy = overlay_pairs_copy(list, count);
    mem_free(list);
    mem_free(o->metadata);
    o->metadata = copy;
    o->metadata_count = count;
    if (op->has_weight) {
        o->has_weight = true;
        o->weight = op->weight;
    }
    if (op->has_enabled) {
        o->has_enabled = true;
        o->enabled = op->enabled;
    }
    o->unused_since_ms = slot->newest ? 0 : op->time_ms;
    *s->digest += naming_piece_overlay(s, slot);
    *ret_slot = slot;
    return 0;
}

void overlay_drop(struct service *s, const struct naming_op *op)
{
    struct instance_slot *slot = instance_slot_find(s, op->ip, op->port, op->cluster);
    if (!slot || !slot->overlay || slot->newest) {
        return;
    }
    if (op->seen_ms != 0 && op->seen_ms != slot->overlay->unused_since_ms) {
        return;
    }
    *s->digest -= naming_piece_overlay(s, slot);
    mem_free(slot->overlay->metadata);
    mem_free(slot->overlay);
    slot->overlay = NULL;
    s->overlay_count--;
    instance_slot_release(s, slot);
}
