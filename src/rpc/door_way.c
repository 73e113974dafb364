#include "rpc/door_way.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <grpc/grpc_security.h>
#include <grpc/support/time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "rpc/channel_args.h"

#if NACRE_FRONT_DOOR

#define LIBRARY "libgrpc.so.29"
#define TYPE_NAME "ExternalConnectionHandler"
/* grpc_tcp_server_create_fd_handler(grpc_tcp_server *), mangled. */
#define MAKER "_Z33grpc_tcp_server_create_fd_handlerP15grpc_tcp_server"
#define POLL_MS 5

/* grpc_core::TcpServerFdHandler as the Itanium C++ ABI lays it out: a pointer to its table of
 * virtual functions (two destructors, then Handle). Before the table lies a pointer to the type's
 * description, whose second word is the type's name. */
struct handler {
    const struct handler_table {
        void (*destroy)(void *self);
        void (*destroy_and_free)(void *self);
        void (*handle)(void *self, int listen_fd, int fd, grpc_byte_buffer *pending);
    } * table;
};

static bool is_in_library(const void *address)
{
    Dl_info info = {0};
    return address && dladdr(address, &info) != 0 && info.dli_fname &&
           strstr(info.dli_fname, LIBRARY);
}

int door_way_check_version(const char *version, struct fail *fail)
{
    if (strcmp(version, DOOR_WAY_GRPC) != 0) {
        return fail_set(fail, E_UNSUPPORTED, "expected gRPC core %s, found %s", DOOR_WAY_GRPC,
                        version);
    }
    return 0;
}

int door_way_check_handler(const void *handler, struct fail *fail)
{
    if (!handler) {
        return fail_set(fail, E_UNSUPPORTED, "gRPC gave no handler for external connections");
    }
    const struct handler *h = handler;
    if (!is_in_library(h->table)) {
        return fail_set(fail, E_UNSUPPORTED, "the handler's table is not in %s", LIBRARY);
    }
    const void *type = ((const void *const *)(const void *)h->table)[-1];
    const char *name = is_in_library(type) ? ((const char *const *)type)[1] : NULL;
    if (!is_in_library(name) || !strstr(name, TYPE_NAME)) {
        return fail_set(fail, E_UNSUPPORTED, "the handler's type is not %s", TYPE_NAME);
    }
    /* ISO C has no cast from a function pointer to void *; POSIX promises the bits. */
    const void *handle = NULL;
    memcpy(&handle, &h->table->handle, sizeof(handle));
    if (!is_in_library(handle)) {
        return fail_set(fail, E_UNSUPPORTED, "the handler's function is not in %s", LIBRARY);
    }
    return 0;
}

static void *arg_copy(void *p)
{
    return p;
}

static void arg_destroy(void *p)
{
    (void)p;
}

static int arg_compare(void *a, void *b)
{
    return (uintptr_t)a < (uintptr_t)b ? -1 : (uintptr_t)a > (uintptr_t)b;
}

static const grpc_arg_pointer_vtable ARG_OPS = {arg_copy, arg_destroy, arg_compare};

grpc_arg door_way_arg(struct door_way *way)
{
    return channel_arg_pointer(way->name, &way->handler, &ARG_OPS);
}

int door_way_open(struct door_way *way, grpc_server *server, grpc_server_credentials *creds,
                  struct fail *fail)
{
    ASSERT(way->handler == NULL);
    /* The result is the number of a port, which this is not: 0 in any case. */
    (void)grpc_server_add_http2_port(server, way->name, creds);
    int err = door_way_check_handler(way->handler, fail);
    if (err) {
        way->handler = NULL;
    }
    return err;
}

void door_way_give(struct door_way *way, int listen_fd, int take_fd)
{
    ASSERT(way->handler != NULL);
    const struct handler *h = way->handler;
    h->table->handle(way->handler, listen_fd, take_fd, NULL);
}

/* Whether fd reads a SETTINGS frame before the time is up; cq's owner drives the server. */
static bool hears_settings(int fd, grpc_completion_queue *cq)
{
    uint64_t until_ms = clock_mono_ms() + DOOR_WAY_TEST_MS;
    while (clock_mono_ms() < until_ms) {
        unsigned char head[9];
        ssize_t got = recv(fd, head, sizeof(head), MSG_DONTWAIT | MSG_PEEK);
        if (got == (ssize_t)sizeof(head)) {
            return head[3] == 4;
        }
        if (got == 0) {
            return false;
        }
        gpr_timespec wait =
            gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(POLL_MS, GPR_TIMESPAN));
        (void)grpc_completion_queue_next(cq, wait, NULL);
    }
    return false;
}

/* A client's first words to the way, through a socket pair. */
static bool serves(struct door_way *way, grpc_completion_queue *cq)
{
    static const char words[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    bool sent = send(pair[0], words, sizeof(words) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(words) - 1;
    door_way_give(way, -1, pair[1]);
    bool served = sent && hears_settings(pair[0], cq);
    (void)close(pair[0]);
    return served;
}

static void end_server(grpc_server *server, grpc_completion_queue *cq)
{
    gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    grpc_server_shutdown_and_notify(server, cq, server);
    grpc_server_cancel_all_calls(server);
    (void)grpc_completion_queue_next(cq, never, NULL);
    grpc_server_destroy(server);
    grpc_completion_queue_shutdown(cq);
    (void)grpc_completion_queue_next(cq, never, NULL);
    grpc_completion_queue_destroy(cq);
}

int door_way_check(struct fail *fail)
{
    int err = door_way_check_version(grpc_version_string(), fail);
    if (err) {
        return err;
    }
    if (!dlsym(RTLD_DEFAULT, MAKER)) {
        return fail_set(fail, E_UNSUPPORTED, "gRPC has no function that makes handlers");
    }
    struct door_way way = {.name = DOOR_WAY_PLAIN};
    grpc_arg arg = door_way_arg(&way);
    grpc_channel_args all = {.num_args = 1, .args = &arg};
    grpc_server *server = grpc_server_create(&all, NULL);
    grpc_completion_queue *cq = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(server, cq, NULL);
    grpc_server_credentials *open = grpc_insecure_server_credentials_create();
    err = door_way_open(&way, server, open, fail);
    grpc_server_credentials_release(open);
    if (!err) {
        grpc_server_start(server);
        err = serves(&way, cq) ? 0
                               : fail_set(fail, E_UNSUPPORTED,
                                          "gRPC did not answer a connection that it was given");
    }
    end_server(server, cq);
    return err;
}

#else /* Compiled out: configure found another gRPC, or was told so. */

#define WHY "the front door is compiled out (NACRE_FRONT_DOOR)"

int door_way_check(struct fail *fail)
{
    return fail_set(fail, E_UNSUPPORTED, WHY);
}

int door_way_check_version(const char *version, struct fail *fail)
{
    (void)version;
    return fail_set(fail, E_UNSUPPORTED, WHY);
}

int door_way_check_handler(const void *handler, struct fail *fail)
{
    (void)handler;
    return fail_set(fail, E_UNSUPPORTED, WHY);
}

grpc_arg door_way_arg(struct door_way *way)
{
    return channel_arg_int(way->name, 0);
}

int door_way_open(struct door_way *way, grpc_server *server, grpc_server_credentials *creds,
                  struct fail *fail)
{
    (void)way;
    (void)server;
    (void)creds;
    return fail_set(fail, E_UNSUPPORTED, WHY);
}

void door_way_give(struct door_way *way, int listen_fd, int take_fd)
{
    (void)way;
    (void)listen_fd;
    (void)take_fd;
    ASSERT(!"nobody has a way that was not opened");
}

#endif
