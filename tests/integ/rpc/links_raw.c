/* The part of links_rig.h that calls a peer server by hand. */
#include <stdlib.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>

#include "base/assert.h"
#include "base/mem.h"
#include "links_rig.h"
#include "rpc/links_edge.h"

#define RAW_WAIT_S 5

/* Tags: which operation came back. */
enum { RAW_SENT, RAW_INITIAL, RAW_STATUS, RAW_OPS };

struct raw_call {
    atomic_uint refs; /* the test's, and the verifier's, which C-core lets go of when it likes */
    grpc_completion_queue *cq;
    grpc_channel *channel;
    grpc_call *call;
    grpc_tls_certificate_verifier_external verifier;
    atomic_bool saw_server;
    bool is_pending[RAW_OPS];
    bool ok[RAW_OPS];
    bool has_begun;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_status_code status;
    grpc_slice details;
    char *why;
};

static void *tag_of(struct raw_call *c, int op)
{
    return &c->is_pending[op];
}

static void start(struct raw_call *c, const grpc_op *ops, size_t count, int op)
{
    c->is_pending[op] = true;
    grpc_call_error err = grpc_call_start_batch(c->call, ops, count, tag_of(c, op), NULL);
    assert_int_equal(err, GRPC_CALL_OK);
}

static void wait_for(struct raw_call *c, int op)
{
    while (c->is_pending[op]) {
        gpr_timespec until = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                          gpr_time_from_seconds(RAW_WAIT_S, GPR_TIMESPAN));
        grpc_event event = grpc_completion_queue_next(c->cq, until, NULL);
        assert_int_equal(event.type, GRPC_OP_COMPLETE);
        bool *pending = event.tag;
        *pending = false;
        c->ok[pending - c->is_pending] = event.success != 0;
    }
}

static grpc_channel *make_channel(uint16_t port, grpc_channel_credentials *creds)
{
    char name[] = NODE_PEER_NAME;
    char key[] = GRPC_SSL_TARGET_NAME_OVERRIDE_ARG;
    char pool[] = GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL;
    grpc_arg list[] = {{.type = GRPC_ARG_STRING, .key = key, .value.string = name},
                       {.type = GRPC_ARG_INTEGER, .key = pool, .value.integer = 1}};
    grpc_channel_args args = {.num_args = ARRAY_LEN(list), .args = list};
    char *target = links_target("", "127.0.0.1", port);
    grpc_channel *channel = grpc_channel_create(target, creds, &args);
    mem_free(target);
    grpc_channel_credentials_release(creds);
    return channel;
}

static int accept_any(void *self, grpc_tls_custom_verification_check_request *request,
                      grpc_tls_on_custom_verification_check_done_cb done, void *done_arg,
                      grpc_status_code *ret_status, char **ret_why)
{
    (void)request;
    (void)done;
    (void)done_arg;
    (void)ret_why;
    atomic_store(&((struct raw_call *)self)->saw_server, true);
    *ret_status = GRPC_STATUS_OK;
    return 1;
}

static void cancel_nothing(void *self, grpc_tls_custom_verification_check_request *request)
{
    (void)self;
    (void)request;
}

static void unref(void *self)
{
    struct raw_call *c = self;
    if (atomic_fetch_sub(&c->refs, 1) == 1) {
        mem_free(c);
    }
}

static grpc_channel_credentials *make_creds(struct raw_call *c, const struct identity *identity)
{
    grpc_tls_identity_pairs *pairs = NULL;
    if (identity->key_pem) {
        pairs = grpc_tls_identity_pairs_create();
        grpc_tls_identity_pairs_add_pair(pairs, identity->key_pem, identity->cert_pem);
    }
    grpc_tls_certificate_provider *provider =
        grpc_tls_certificate_provider_static_data_create(identity->cert_pem, pairs);
    grpc_tls_credentials_options *options = grpc_tls_credentials_options_create();
    grpc_tls_credentials_options_set_certificate_provider(options, provider);
    grpc_tls_certificate_provider_release(provider);
    grpc_tls_credentials_options_watch_root_certs(options);
    if (pairs) {
        grpc_tls_credentials_options_watch_identity_key_cert_pairs(options);
    }
    c->verifier = (grpc_tls_certificate_verifier_external){c, accept_any, cancel_nothing, unref};
    grpc_tls_certificate_verifier *verifier =
        grpc_tls_certificate_verifier_external_create(&c->verifier);
    grpc_tls_credentials_options_set_certificate_verifier(options, verifier);
    grpc_tls_certificate_verifier_release(verifier);
    grpc_tls_credentials_options_set_verify_server_cert(options, 0);
    grpc_tls_credentials_options_set_check_call_host(options, 0);
    return grpc_tls_credentials_create(options);
}

bool raw_saw_server(struct raw_call *c)
{
    return atomic_load(&c->saw_server);
}

struct raw_call *raw_open(uint16_t port, const struct identity *identity, const char *method)
{
    grpc_init();
    struct raw_call *c = mem_zalloc(1, sizeof(*c));
    atomic_init(&c->refs, 2);
    c->cq = grpc_completion_queue_create_for_next(NULL);
    c->channel = make_channel(port, make_creds(c, identity));
    c->call =
        grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, c->cq,
                                 grpc_slice_from_static_string(method ? method : LINKS_METHOD),
                                 NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_metadata_array_init(&c->initial);
    grpc_metadata_array_init(&c->trailing);
    grpc_op op = {0};
    op.op = GRPC_OP_RECV_INITIAL_METADATA;
    op.data.recv_initial_metadata.recv_initial_metadata = &c->initial;
    start(c, &op, 1, RAW_INITIAL);
    op = (grpc_op){0};
    op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op.data.recv_status_on_client.trailing_metadata = &c->trailing;
    op.data.recv_status_on_client.status = &c->status;
    op.data.recv_status_on_client.status_details = &c->details;
    start(c, &op, 1, RAW_STATUS);
    return c;
}

static bool raw_send_buffer(struct raw_call *c, grpc_byte_buffer *take_buffer)
{
    grpc_op ops[2] = {0};
    size_t count = 0;
    if (!c->has_begun) {
        c->has_begun = true;
        ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    }
    ops[count].op = GRPC_OP_SEND_MESSAGE;
    ops[count].data.send_message.send_message = take_buffer;
    start(c, ops, count + 1, RAW_SENT);
    grpc_byte_buffer_destroy(take_buffer);
    wait_for(c, RAW_SENT);
    return c->ok[RAW_SENT];
}

bool raw_send(struct raw_call *c, const void *bytes, size_t len)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(bytes, len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return raw_send_buffer(c, buffer);
}

bool raw_hello(struct raw_call *c, uint32_t version, const struct node_id *id, uint64_t number)
{
    struct link_hello hello = {.version = version, .id = *id, .life = 1, .number = number};
    return raw_send_buffer(c, link_write_hello(&hello));
}

bool raw_is_accepted(struct raw_call *c)
{
    wait_for(c, RAW_INITIAL);
    for (size_t i = 0; i < c->initial.count; i++) {
        if (grpc_slice_str_cmp(c->initial.metadata[i].key, LINKS_ACCEPT_KEY) == 0) {
            return true;
        }
    }
    return false;
}

void raw_finish(struct raw_call *c)
{
    grpc_op op = {0};
    op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    start(c, &op, 1, RAW_SENT);
    wait_for(c, RAW_SENT);
}

grpc_status_code raw_status(struct raw_call *c, const char **ret_why)
{
    if (!c->has_begun) {
        grpc_op op = {0};
        op.op = GRPC_OP_SEND_INITIAL_METADATA;
        c->has_begun = true;
        start(c, &op, 1, RAW_SENT);
    }
    wait_for(c, RAW_STATUS);
    if (!c->why) {
        c->why = grpc_slice_to_c_string(c->details);
    }
    if (ret_why) {
        *ret_why = c->why;
    }
    return c->status;
}

void raw_close(struct raw_call *c)
{
    (void)grpc_call_cancel(c->call, NULL);
    (void)raw_status(c, NULL);
    wait_for(c, RAW_INITIAL);
    wait_for(c, RAW_SENT);
    gpr_free(c->why);
    grpc_slice_unref(c->details);
    grpc_metadata_array_destroy(&c->initial);
    grpc_metadata_array_destroy(&c->trailing);
    grpc_call_unref(c->call);
    grpc_channel_destroy(c->channel);
    grpc_completion_queue_shutdown(c->cq);
    while (grpc_completion_queue_next(c->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(c->cq);
    grpc_shutdown_blocking();
    unref(c);
}
