#include "rpc/peer_listen.h"

#include <errno.h>
#include <string.h>

#include <grpc/grpc_security.h>

#include "base/assert.h"
#include "base/macros.h"
#include "base/mem.h"
#include "rpc/channel_args.h"
#include "rpc/door.h"
#include "rpc/links_edge.h"
#include "rpc/listen.h"

#define PORT_MAX 65535

grpc_server *peer_listen_create_server(struct peer_listen *p, bool no_door)
{
    p->uses_ways = !no_door && door_way_check(NULL) == 0;
    p->front = (struct door_way){.name = DOOR_WAY_PEER};
    p->own = (struct door_way){.name = DOOR_WAY_PEER_OWN};
    grpc_resource_quota *quota = grpc_resource_quota_create("nacre-peers");
    grpc_resource_quota_resize(quota, PEER_QUOTA_BYTES);
    grpc_arg list[] = {
        channel_arg_int(GRPC_ARG_ALLOW_REUSEPORT, 0), /* rule 5 */
        channel_arg_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, LINKS_MESSAGE_MAX),
        channel_arg_int(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1), /* rule 12 */
        channel_arg_int(GRPC_ARG_MAX_CONCURRENT_STREAMS, PEER_STREAMS_MAX),
        channel_arg_int(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, PEER_HANDSHAKE_MS),
        channel_arg_int(GRPC_ARG_MAX_CONNECTION_IDLE_MS, PEER_IDLE_MS),
        channel_arg_int(GRPC_ARG_KEEPALIVE_TIME_MS, PEER_PING_MS),
        channel_arg_int(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, PEER_PING_WAIT_MS),
        channel_arg_int(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        channel_arg_int(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, LINK_PING_MS / 2),
        channel_arg_int(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0),
        channel_arg_int(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        channel_arg_int(GRPC_ARG_HTTP2_BDP_PROBE, 0), /* a ping beside nearly every heartbeat */
        channel_arg_int(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, LINK_WINDOW_BYTES),
        channel_arg_quota(quota),
        p->uses_ways ? door_way_arg(&p->front) : (grpc_arg){0},
        p->uses_ways ? door_way_arg(&p->own) : (grpc_arg){0},
    };
    grpc_channel_args args = {0};
    args.num_args = ARRAY_LEN(list) - (p->uses_ways ? 0 : 2);
    args.args = list;
    grpc_server *server = grpc_server_create(&args, NULL);
    grpc_resource_quota_unref(quota);
    return server;
}

static const char *bind_reason(const char *host, uint16_t port)
{
    int err = listen_try(host, port);
    if (err == LISTEN_NO_ADDRESS) {
        return "a name that does not resolve, or the port is in use";
    }
    if (err == EADDRINUSE) {
        return "another process listens there; two nodes of one host need main ports that are at "
               "least two apart";
    }
    return err ? strerror(err) : LISTEN_NO_REASON;
}

/* C-core's own listener: no limits before a handshake begins, and nothing is counted. */
static int listen_itself(grpc_server *server, grpc_server_credentials *creds, const char *address,
                         uint16_t *ret_port)
{
    int bound = grpc_server_add_http2_port(server, address, creds);
    if (bound <= 0 || bound > PORT_MAX) {
        return E_IO;
    }
    *ret_port = (uint16_t)bound;
    return 0;
}

static int open_door(struct peer_listen *p, const char *bind, uint16_t port)
{
    const struct door_options options = {
        .whose = DOOR_PEERS,
        .bind = bind,
        .port = port,
        .user_timeout_ms = PEER_PING_WAIT_MS,
        .decide_ms = PEER_HANDSHAKE_MS,
    };
    int err = door_create(&options, &p->door, NULL);
    if (!err) {
        p->port = door_port(p->door);
        door_set_peer(p->door, &p->own);
    }
    return err;
}

static void open_way(struct door_way *way, grpc_server *server, grpc_server_credentials *creds)
{
    if (door_way_open(way, server, creds, NULL) != 0) {
        way->handler = NULL; /* the edge of the clients says in the log what is wrong */
    }
}

int peer_listen_bind(struct peer_listen *p, grpc_server *server, grpc_server_credentials *creds,
                     const char *bind, uint16_t port, struct fail *fail)
{
    if (p->uses_ways) {
        open_way(&p->front, server, creds);
        open_way(&p->own, server, creds);
    }
    char *address = links_target("", bind, port);
    int err =
        p->own.handler ? open_door(p, bind, port) : listen_itself(server, creds, address, &p->port);
    if (err) {
        err = fail_set(fail, E_IO, "cannot listen for peers on %s: %s", address,
                       bind_reason(bind, port));
    }
    mem_free(address);
    return err;
}

int peer_listen_start(struct peer_listen *p, struct fail *fail)
{
    return p->door ? door_start(p->door, fail) : 0;
}

void peer_listen_stop(struct peer_listen *p)
{
    if (p->door) {
        door_stop(p->door);
    }
}

void peer_listen_close(struct peer_listen *p)
{
    door_destroy(p->door);
    p->door = NULL;
}
