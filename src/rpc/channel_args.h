/* Arguments of C-core's servers and channels.
 *
 * Thread:  any; plain data. C-core copies what keys point to when the server or channel is made.
 */
#ifndef NACRE_RPC_CHANNEL_ARGS_H
#define NACRE_RPC_CHANNEL_ARGS_H

#include <grpc/grpc.h>

static inline grpc_arg channel_arg_int(const char *key, int value)
{
    /* C-core's struct is older than const. */
    union {
        const char *read;
        char *write;
    } name = {.read = key};
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = name.write, .value.integer = value};
}

static inline grpc_arg channel_arg_pointer(const char *key, void *p,
                                           const grpc_arg_pointer_vtable *vtable)
{
    grpc_arg arg = channel_arg_int(key, 0);
    arg.type = GRPC_ARG_POINTER;
    arg.value.pointer.p = p;
    arg.value.pointer.vtable = vtable;
    return arg;
}

/* Borrows quota until the server is made. */
static inline grpc_arg channel_arg_quota(grpc_resource_quota *quota)
{
    return channel_arg_pointer(GRPC_ARG_RESOURCE_QUOTA, quota, grpc_resource_quota_arg_vtable());
}

#endif
