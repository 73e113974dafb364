#include "rpc/peer_tls.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <grpc/grpc_security_constants.h>
#include <grpc/support/string_util.h>

#include "base/assert.h"
#include "base/mem.h"

struct peer_pins {
    atomic_uint refs;
    struct node_id own;
    struct links_counters counters;
    pthread_mutex_t lock; /* guards pins, stranger, strangers */
    struct node_id pins[LINKS_MEMBERS_MAX];
    struct node_id stranger;
    unsigned long strangers;
};

struct peer_check {
    atomic_uint refs;
    struct peer_pins *pins;
    unsigned slot;
    bool may_learn;
    grpc_tls_certificate_verifier_external verifier;
    pthread_mutex_t lock; /* guards verdict, id */
    enum peer_verdict verdict;
    struct node_id id;
};

/* The server's verifier, freed by C-core. */
struct gate {
    struct peer_pins *pins;
    grpc_tls_certificate_verifier_external verifier;
};

static void lock(pthread_mutex_t *m)
{
    ASSERT(pthread_mutex_lock(m) == 0);
}

static void unlock(pthread_mutex_t *m)
{
    ASSERT(pthread_mutex_unlock(m) == 0);
}

/* Pins */

struct peer_pins *peer_pins_create(const struct node_id *own)
{
    struct peer_pins *p = mem_zalloc(1, sizeof(*p));
    atomic_init(&p->refs, 1);
    p->own = *own;
    ASSERT(pthread_mutex_init(&p->lock, NULL) == 0);
    return p;
}

struct peer_pins *peer_pins_ref(struct peer_pins *p)
{
    unsigned before = atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return p;
}

void peer_pins_unref(struct peer_pins *p)
{
    if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1) {
        ASSERT(pthread_mutex_destroy(&p->lock) == 0);
        mem_free(p);
    }
}

void peer_pins_set(struct peer_pins *p, const struct node_id pins[LINKS_MEMBERS_MAX])
{
    lock(&p->lock);
    memcpy(p->pins, pins, sizeof(p->pins));
    unlock(&p->lock);
}

/* The slot that has this pin; LINKS_MEMBERS_MAX when none has. Under the lock. */
static unsigned find(const struct peer_pins *p, const struct node_id *id)
{
    unsigned slot = 0;
    while (slot < LINKS_MEMBERS_MAX && !node_id_eq(&p->pins[slot], id)) {
        slot++;
    }
    return slot;
}

bool peer_pins_has(struct peer_pins *p, const struct node_id *id)
{
    if (!node_id_is_set(id) || node_id_eq(id, &p->own)) {
        return false;
    }
    lock(&p->lock);
    bool has = find(p, id) < LINKS_MEMBERS_MAX;
    unlock(&p->lock);
    return has;
}

enum peer_verdict peer_pins_judge(struct peer_pins *p, unsigned slot, const struct node_id *id)
{
    ASSERT(slot < LINKS_MEMBERS_MAX);
    if (node_id_eq(id, &p->own)) {
        return PEER_SELF;
    }
    lock(&p->lock);
    struct node_id pin = p->pins[slot];
    unsigned at = find(p, id);
    unlock(&p->lock);
    if (node_id_is_set(&pin)) {
        return node_id_eq(&pin, id) ? PEER_OK : PEER_OTHER;
    }
    return at < LINKS_MEMBERS_MAX ? PEER_TAKEN : PEER_CANDIDATE;
}

struct links_counters *peer_pins_counters(struct peer_pins *p)
{
    return &p->counters;
}

unsigned long peer_pins_stranger(struct peer_pins *p, struct node_id *ret)
{
    lock(&p->lock);
    *ret = p->stranger;
    unsigned long strangers = p->strangers;
    unlock(&p->lock);
    return strangers;
}

/* Checks */

struct peer_check *peer_check_create(struct peer_pins *p, unsigned slot, bool may_learn)
{
    struct peer_check *c = mem_zalloc(1, sizeof(*c));
    atomic_init(&c->refs, 1);
    c->pins = peer_pins_ref(p);
    c->slot = slot;
    c->may_learn = may_learn;
    ASSERT(pthread_mutex_init(&c->lock, NULL) == 0);
    return c;
}

void peer_check_unref(struct peer_check *c)
{
    if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        peer_pins_unref(c->pins);
        ASSERT(pthread_mutex_destroy(&c->lock) == 0);
        mem_free(c);
    }
}

enum peer_verdict peer_check_read(struct peer_check *c, struct node_id *ret_id)
{
    lock(&c->lock);
    enum peer_verdict verdict = c->verdict;
    *ret_id = c->id;
    unlock(&c->lock);
    return verdict;
}

/* Verifiers. The answer is given at once: 1. */

static int verify_server(void *self, grpc_tls_custom_verification_check_request *request,
                         grpc_tls_on_custom_verification_check_done_cb done, void *done_arg,
                         grpc_status_code *ret_status, char **ret_why)
{
    (void)done;
    (void)done_arg;
    struct peer_check *c = self;
    struct node_id id = {0};
    enum peer_verdict verdict = PEER_UNREADABLE;
    if (identity_of_pem(span_str(request->peer_info.peer_cert), &id) == 0) {
        verdict = peer_pins_judge(c->pins, c->slot, &id);
    }
    if ((verdict == PEER_CANDIDATE || verdict == PEER_TAKEN) && !c->may_learn) {
        verdict = PEER_DOUBTFUL;
    }
    lock(&c->lock);
    c->verdict = verdict;
    c->id = id;
    unlock(&c->lock);
    *ret_status = GRPC_STATUS_OK;
    if (verdict != PEER_OK && verdict != PEER_CANDIDATE) {
        *ret_status = GRPC_STATUS_UNAUTHENTICATED;
        *ret_why = gpr_strdup("not the key that belongs here");
    }
    return 1;
}

static int verify_client(void *self, grpc_tls_custom_verification_check_request *request,
                         grpc_tls_on_custom_verification_check_done_cb done, void *done_arg,
                         grpc_status_code *ret_status, char **ret_why)
{
    (void)done;
    (void)done_arg;
    struct peer_pins *p = ((struct gate *)self)->pins;
    struct node_id id = {0};
    if (identity_of_pem(span_str(request->peer_info.peer_cert), &id) == 0 &&
        peer_pins_has(p, &id)) {
        *ret_status = GRPC_STATUS_OK;
        return 1;
    }
    if (!node_id_eq(&id, &p->own)) {
        atomic_fetch_add_explicit(&p->counters.refused_keys, 1, memory_order_relaxed);
        lock(&p->lock);
        p->stranger = id;
        p->strangers++;
        unlock(&p->lock);
    }
    *ret_status = GRPC_STATUS_UNAUTHENTICATED;
    *ret_why = gpr_strdup("unknown key");
    return 1;
}

static void cancel_nothing(void *self, grpc_tls_custom_verification_check_request *request)
{
    (void)self;
    (void)request;
}

static void drop_check(void *self)
{
    peer_check_unref(self);
}

static void drop_gate(void *self)
{
    struct gate *gate = self;
    peer_pins_unref(gate->pins);
    mem_free(gate);
}

/* Credentials. Both sides show the same pair. */

/* Options with our key and certificate, and the verifier, which moves in. root: a PEM that is not
 * used to decide; without one the first client of the process would parse the system's. */
static grpc_tls_credentials_options *make_options(const struct identity *own, const char *root,
                                                  grpc_tls_certificate_verifier_external *take_ext)
{
    grpc_tls_identity_pairs *pairs = grpc_tls_identity_pairs_create();
    grpc_tls_identity_pairs_add_pair(pairs, own->key_pem, own->cert_pem);
    grpc_tls_certificate_provider *provider =
        grpc_tls_certificate_provider_static_data_create(root, pairs);
    grpc_tls_credentials_options *options = grpc_tls_credentials_options_create();
    grpc_tls_credentials_options_set_certificate_provider(options, provider);
    grpc_tls_certificate_provider_release(provider);
    grpc_tls_credentials_options_watch_identity_key_cert_pairs(options);
    grpc_tls_certificate_verifier *verifier =
        grpc_tls_certificate_verifier_external_create(take_ext);
    grpc_tls_credentials_options_set_certificate_verifier(options, verifier);
    grpc_tls_certificate_verifier_release(verifier);
    return options;
}

grpc_channel_credentials *peer_tls_client(const struct identity *own, struct peer_check *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    c->verifier = (grpc_tls_certificate_verifier_external){
        .user_data = c,
        .verify = verify_server,
        .cancel = cancel_nothing,
        .destruct = drop_check,
    };
    grpc_tls_credentials_options *options = make_options(own, own->cert_pem, &c->verifier);
    grpc_tls_credentials_options_watch_root_certs(options);
    grpc_tls_credentials_options_set_verify_server_cert(options, 0);
    grpc_tls_credentials_options_set_check_call_host(options, 0);
    return grpc_tls_credentials_create(options);
}

grpc_server_credentials *peer_tls_server(const struct identity *own, struct peer_pins *p)
{
    struct gate *gate = mem_zalloc(1, sizeof(*gate));
    gate->pins = peer_pins_ref(p);
    gate->verifier = (grpc_tls_certificate_verifier_external){
        .user_data = gate,
        .verify = verify_client,
        .cancel = cancel_nothing,
        .destruct = drop_gate,
    };
    grpc_tls_credentials_options *options = make_options(own, NULL, &gate->verifier);
    grpc_tls_credentials_options_set_cert_request_type(
        options, GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
    return grpc_tls_server_credentials_create(options);
}

int peer_tls_caller(grpc_call *call, struct node_id *ret)
{
    grpc_auth_context *context = grpc_call_auth_context(call);
    if (!context) {
        return E_FORBIDDEN;
    }
    grpc_auth_property_iterator it =
        grpc_auth_context_find_properties_by_name(context, GRPC_X509_PEM_CERT_PROPERTY_NAME);
    const grpc_auth_property *property = grpc_auth_property_iterator_next(&it);
    int err = E_FORBIDDEN;
    if (property && identity_of_pem(span_of(property->value, property->value_length), ret) == 0) {
        err = 0;
    }
    grpc_auth_context_release(context);
    return err;
}
