#include "rpc/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <grpc/grpc_security.h>
#include <grpc/support/log.h>

#include "base/log.h"
#include "rpc/channel_args.h"

#define ADDRESS_MAX 320

grpc_server *listen_create_server(const struct rpc_options *options, struct door_way *way)
{
    grpc_resource_quota *quota = grpc_resource_quota_create("nacre");
    grpc_resource_quota_resize(quota, LISTEN_QUOTA_BYTES);
    grpc_arg list[] = {
        /* Rule 5: two processes must not share the port. */
        channel_arg_int(GRPC_ARG_ALLOW_REUSEPORT, 0),
        channel_arg_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)options->receive_max_bytes),
        channel_arg_int(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        /* Rule 12: identity only. A gzip bomb would be inflated before the size is checked. */
        channel_arg_int(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1),
        channel_arg_int(GRPC_ARG_MAX_CONCURRENT_STREAMS, (int)options->streams_per_conn_max),
        channel_arg_int(GRPC_ARG_MAX_METADATA_SIZE, LISTEN_METADATA_MAX),
        channel_arg_int(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, (int)options->handshake_timeout_ms),
        channel_arg_int(GRPC_ARG_KEEPALIVE_TIME_MS, (int)options->keepalive_ms),
        channel_arg_int(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, (int)options->keepalive_timeout_ms),
        /* DIFF(keepalive): sooner than Nacos, and nobody is punished. Rule 9: Go pings every 60 s,
         * also without a call; nobody is thrown out for pings (R13).
         */
        channel_arg_int(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        channel_arg_int(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10000),
        channel_arg_int(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0),
        channel_arg_int(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        channel_arg_quota(quota),
        way ? door_way_arg(way) : (grpc_arg){0},
    };
    /* No MAX_CONNECTION_AGE_MS or _IDLE_MS: a GOAWAY would move a client's unary calls to a
     * transport without a setup (R13). */
    grpc_channel_args all = {.num_args = ARRAY_LEN(list) - !way, .args = list};
    grpc_server *server = grpc_server_create(&all, NULL);
    grpc_resource_quota_unref(quota);
    return server;
}

int listen_try(const char *host, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&v4;
    socklen_t len = sizeof(v4);
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        address = (const struct sockaddr *)(const void *)&v6;
        len = sizeof(v6);
    } else if (inet_pton(AF_INET, host, &v4.sin_addr) != 1) {
        return LISTEN_NO_ADDRESS;
    }
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int err = bind(fd, address, len) == 0 ? 0 : errno;
    (void)close(fd);
    return err;
}

static const char *bind_reason(const char *host, uint16_t port)
{
    int err = listen_try(host, port);
    if (err == LISTEN_NO_ADDRESS) {
        return "not an IPv4 or IPv6 address";
    }
    return err ? strerror(err) : LISTEN_NO_REASON;
}

int listen_bind(grpc_server *server, const char *bind, uint16_t port, uint16_t *ret_port,
                struct fail *fail)
{
    char address[ADDRESS_MAX];
    const char *form = strchr(bind, ':') ? "[%s]:%u" : "%s:%u";
    int len = form[0] == '[' ? snprintf(address, sizeof(address), "[%s]:%u", bind, port)
                             : snprintf(address, sizeof(address), "%s:%u", bind, port);
    if (len < 0 || (size_t)len >= sizeof(address)) {
        return fail_set(fail, E_IO, "cannot listen for gRPC: the address is over %d bytes long",
                        ADDRESS_MAX);
    }
    grpc_server_credentials *open = grpc_insecure_server_credentials_create();
    int bound = grpc_server_add_http2_port(server, address, open);
    grpc_server_credentials_release(open);
    if (bound <= 0) {
        return fail_set(fail, E_IO, "cannot listen for gRPC on %s: %s", address,
                        bind_reason(bind, port));
    }
    *ret_port = (uint16_t)bound;
    return 0;
}

static void log_line(gpr_log_func_args *args)
{
    if (args->severity == GPR_LOG_SEVERITY_DEBUG) {
        LOG_DEBUG("grpc", "%s", args->message);
        return;
    }
    if (args->severity == GPR_LOG_SEVERITY_INFO) {
        LOG_INFO("grpc", "%s", args->message);
        return;
    }
    LOG_WARN("grpc", "%s", args->message);
}

void listen_watch_log(void)
{
    gpr_set_log_function(log_line);
}
