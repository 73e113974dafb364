/* Digest of the registry: two nodes that applied the same log have the same, and a difference in
 * anything that a snapshot carries shows in it.
 *
 * naming->digest is the sum of the pieces below, kept by whoever changes one: the old piece is
 * taken off, the new one put on. O(1) per change. The order of publications, of a publication's
 * entries and of the hidden entries of a key is no piece: it shows in what is listed, and in what
 * is removed, as soon as it matters.
 *
 * Thread:  core only.
 * Checks:  naming_check compares with naming_digest_count.
 */
#ifndef NACRE_NAMING_NAMING_DIGEST_H
#define NACRE_NAMING_NAMING_DIGEST_H

#include <stddef.h>
#include <stdint.h>

struct client;
struct entry;
struct instance;
struct instance_slot;
struct naming;
struct publication;
struct service;

/* Of the state as it is. */
uint64_t naming_digest(const struct naming *n);

/* The same, added up from the beginning: O(n). */
uint64_t naming_digest_count(const struct naming *n);

/* What the pieces of a service begin with; its key stands. */
uint64_t naming_piece_key(const struct service *s);

/* Kind, revision, times; what was registered or set for it. 0 while it does not exist. */
uint64_t naming_piece_head(const struct service *s);
uint64_t naming_piece_record(const struct service *s);

/* A removal that is kept, by its number from 0. */
uint64_t naming_piece_removal(const struct service *s, unsigned number);

/* What an operator set over a slot; 0: nothing. */
uint64_t naming_piece_overlay(const struct service *s, const struct instance_slot *slot);

/* Whose it is, and since when. */
uint64_t naming_piece_publication(const struct publication *p);

/* What is published, and where it is shown. */
uint64_t naming_piece_entry(const struct entry *e);

/* 0 while it publishes nothing: then it is this node's own. */
uint64_t naming_piece_client(const struct client *c);

/* All of a service's. */
uint64_t naming_piece_service(const struct service *s);

/* Of what is published; stands in the instance. */
uint64_t naming_piece_instance(const struct instance *i);

/* The entry's place among those that are shown, or ENTRY_HIDDEN; what it publishes (takes the
 * reference, the old one goes); since when nobody uses an overlay. The digest follows. */
void entry_set_place(struct entry *e, size_t at);
void entry_set_published(struct entry *e, struct instance *take_published);
void overlay_set_unused(struct service *s, struct instance_slot *slot, int64_t since_ms);

#endif
