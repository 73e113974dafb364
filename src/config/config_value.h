/* What readers and listeners share of one config: its formal version and its gray ones, immutable.
 *
 * Thread:  made on core; read on any thread; config_value.used is the readers' mark for the memory
 *          budget (cache.h).
 * Owns:    a reference to each version. A version owns its texts and a reference to its content.
 * Cold:    a version whose content is NULL lies in the tables only; whoever needs the bytes goes to
 *          the core (load.h). md5, length and the rest are always here.
 * Source:  semantics.md 2.6 (selection), grpc-sdk.md 5.3.1.
 */
#ifndef NACRE_CONFIG_CONFIG_VALUE_H
#define NACRE_CONFIG_CONFIG_VALUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "view/view.h"

#define CONFIG_MD5_BYTES 16
#define CONFIG_MD5_TEXT 32
#define CONFIG_GRAY_MAX 10      /* gray versions of one config; option */
#define CONFIG_GRAY_LIMIT 100   /* that the option may be raised to */
#define CONFIG_GRAY_BETA "beta" /* name of the beta version; a tag's is tag_<tag> */

/* Content types; stands in the log and the tables as its text. X(name, text) */
#define CONFIG_TYPE_MAP(X)                                                                         \
    X(CONFIG_TEXT, "text")                                                                         \
    X(CONFIG_PROPERTIES, "properties")                                                             \
    X(CONFIG_XML, "xml")                                                                           \
    X(CONFIG_JSON, "json")                                                                         \
    X(CONFIG_HTML, "html")                                                                         \
    X(CONFIG_YAML, "yaml")                                                                         \
    X(CONFIG_TOML, "toml")                                                                         \
    X(CONFIG_UNSET, "unset")

enum config_type {
#define X(name, text) name,
    CONFIG_TYPE_MAP(X)
#undef X
};

/* The text of a type. */
struct span config_type_text(enum config_type type);

/* The type of a text; CONFIG_TEXT for an unknown or empty one (as 2.5.1 stores it). */
enum config_type config_type_of(struct span text);

/* One version. Immutable; reference-counted. */
struct config_version {
    atomic_uint refs;
    enum config_type type;
    uint32_t length; /* of content, bytes */
    uint8_t md5[CONFIG_MD5_BYTES];
    int64_t modified_ms;
    struct buf *content; /* NULL: cold */
    uint32_t encrypted_key_len;
    char encrypted_key[]; /* "" when there is none */
};

/* Plain data, what a version is made of. */
struct config_version_parts {
    enum config_type type;
    uint32_t length;
    const uint8_t *md5;
    int64_t modified_ms;
    struct buf *content; /* borrowed (a reference is taken); NULL: cold */
    struct span encrypted_key;
};

/* One reference. */
MUST_USE struct config_version *config_version_create(const struct config_version_parts *parts);

/* The same with or without its content; one reference. */
MUST_USE struct config_version *config_version_with(const struct config_version *v,
                                                    struct buf *content);

/* One more reference; returns v. */
struct config_version *config_version_ref(struct config_version *v);

/* One reference less, the last one frees; NULL is fine. */
void config_version_unref(struct config_version *v);

/* 32 lower-case hex digits, no NUL. */
void config_md5_text(const uint8_t md5[CONFIG_MD5_BYTES], char dst[CONFIG_MD5_TEXT]);

/* The md5 of bytes (OpenSSL). */
void config_md5(struct span content, uint8_t dst[CONFIG_MD5_BYTES]);

/* True when text is the hex of md5, in lower case. */
bool config_md5_is(const uint8_t md5[CONFIG_MD5_BYTES], struct span text);

/* A gray version in a value. Highest priority first: beta, then tags by name. */
struct config_gray {
    struct config_version *version; /* a reference */
    uint64_t id;                    /* of its row */
    bool is_beta;
    struct span name; /* "beta", "tag_x"; in the value's own memory, as rule */
    struct span rule; /* beta: comma list of addresses; tag: the tag */
};

struct config_value {
    struct view_value base;        /* first */
    atomic_bool used;              /* read since the budget's hand came by */
    uint64_t index;                /* of the entry that made it; set before it is published */
    struct config_version *formal; /* NULL: none */
    size_t gray_count;
    struct config_gray gray[];
};

/* Take formal (may be NULL) and the grays (their spans are copied, references taken); one
 * reference. */
MUST_USE struct config_value *config_value_create(struct config_version *formal,
                                                  const struct config_gray *gray,
                                                  size_t gray_count);

/* old (may be NULL) with this formal version, or without one if it is NULL; NULL when nothing is
 * left. One reference. */
MUST_USE struct config_value *config_value_with_formal(const struct config_value *old,
                                                       struct config_version *formal);

/* old (may be NULL) with this gray version in its place, or without the one of its name if version
 * is NULL; NULL when nothing is left. At most CONFIG_GRAY_LIMIT in all (asserted). */
MUST_USE struct config_value *config_value_with_gray(const struct config_value *old,
                                                     const struct config_gray *gray);

static inline struct view_value *config_value_base(struct config_value *v)
{
    return &v->base;
}

/* Who reads. Plain data. */
struct config_reader {
    struct span client_ip;
    struct span tag;      /* named by the request: this version or none */
    struct span auto_tag; /* of the caller (api_caller.tag): falls back to the formal version */
};

/* What this reader gets. version NULL: not found (for a named tag: no such tag version). */
struct config_choice {
    struct config_version *version; /* borrowed from the value */
    const struct config_gray *gray; /* NULL: the formal one */
};

/* value NULL: nothing is there. */
struct config_choice config_choose(const struct config_value *value, const struct config_reader *r);

/* True when the client that holds md5 (text, "" for nothing) must be told: what it would read has
 * another md5. */
bool config_differs(const struct config_value *value, const struct config_reader *r,
                    struct span md5);

#endif
