/* Requests of the registry as gRPC clients send them: pure structs and their JSON codecs.
 *
 * Thread:  any; everything decoded lives in the call's arena.
 * Limits:  names and metadata by name.h, INSTANCE_BATCH_MAX instances.
 * Source:  grpc-sdk.md 5.4; parameter check before anything else (Nacos 2.5.1
 *          core/.../remote/grpc/RemoteParamCheckFilter.java).
 */
#ifndef NACRE_NAMING_NAMING_MSG_H
#define NACRE_NAMING_NAMING_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "api/call.h"
#include "base/fail.h"
#include "naming/name.h"
#include "naming/service_value.h"

/* InstanceRequest, PersistentInstanceRequest, BatchInstanceRequest. */
struct msg_instances {
    struct service_name service;
    const struct instance_data *list; /* one, or the batch; none for a deregistration */
    size_t count;
    const char *type; /* static: what the response repeats */
    bool deregister;
};

/* ServiceQueryRequest. */
struct msg_query {
    struct service_name service;
    struct service_query query;
};

/* SubscribeServiceRequest. */
struct msg_subscribe {
    struct service_name service;
    struct span clusters;
    bool subscribe;
};

/* ServiceListRequest and the HTTP lists. */
struct msg_list {
    struct span namespace_id;
    struct span group;
    int64_t page_no;
    int64_t page_size;
};

/* Each decodes a JSON body into call->msg (row.h: api_decode_rpc_fn).
 * E_PARAM  "Param check invalid:Param '...' is illegal, ..."   E_INVALID  blank names, unknown type
 * E_PARSE  the field and what it was */
int msg_decode_instance(struct api_call *call, struct span body, struct fail *fail);
int msg_decode_persistent(struct api_call *call, struct span body, struct fail *fail);
int msg_decode_batch(struct api_call *call, struct span body, struct fail *fail);
int msg_decode_query(struct api_call *call, struct span body, struct fail *fail);
int msg_decode_subscribe(struct api_call *call, struct span body, struct fail *fail);
int msg_decode_list(struct api_call *call, struct span body, struct fail *fail);

/* {"resultCode":200,"errorCode":0,"type":type,"success":true} as the call's answer. */
void msg_answer_type(struct api_call *call, const char *type);

/* A page of sorted names of a group: the answer of a service list. */
struct service;
void msg_answer_list(struct api_call *call, struct service *const *sorted, size_t count,
                     const struct msg_list *page);

/* From and to (exclusive) of a page of count things; page numbers begin at 1, less is the first
 * page. */
void msg_page(const struct msg_list *page, size_t count, size_t *ret_from, size_t *ret_to);

#endif
