/* Requests of the configuration centre as gRPC clients send them: pure structs and their JSON
 * codecs.
 *
 * Thread:  any; everything decoded lives in the call's arena.
 * Limits:  keys as config_key_check says, LISTEN_CONTEXTS_MAX entries of a listen; the rest of a
 *          publish is config_form_check's to judge.
 * Source:  grpc-sdk.md 5.3; the parameter check before anything else (5.1).
 */
#ifndef NACRE_CONFIG_CONFIG_MSG_H
#define NACRE_CONFIG_CONFIG_MSG_H

#include "api/call.h"
#include "config/admit.h"
#include "config/listen.h"

/* ConfigQueryRequest. */
struct config_msg_query {
    struct config_key key; /* the tenant as it is kept, as in all of these */
    struct span tag;       /* this version or none; "" for no tag */
};

/* ConfigPublishRequest. */
struct config_msg_publish {
    struct config_form form;
    struct span src_user;
    struct config_publish publish; /* the row's read makes it of form */
};

/* ConfigRemoveRequest. */
struct config_msg_remove {
    struct config_key key;
    struct span gray; /* a gray version's name, or its tag; "" for the formal version */
};

/* Each decodes a JSON body into call->msg (row.h: api_decode_rpc_fn); the last one into a struct
 * listen_request without its conn.
 * E_PARAM  "Param check invalid:Param '...' is illegal, ..."   E_INVALID  blank names
 * E_PARSE  the field and what it was   E_TOO_LARGE  too many entries */
int config_msg_decode_query(struct api_call *call, struct span body, struct fail *fail);
int config_msg_decode_publish(struct api_call *call, struct span body, struct fail *fail);
int config_msg_decode_remove(struct api_call *call, struct span body, struct fail *fail);
int config_msg_decode_listen(struct api_call *call, struct span body, struct fail *fail);

/* gRPC's form of a refusal: "Param check invalid:" before what the parameter check said. Returns
 * err. */
int config_msg_refused(int err, struct fail *fail);

/* {"resultCode":200,"errorCode":0,"success":true} as the call's answer. */
void config_msg_answer_success(struct api_call *call);

/* changedConfigs of a listen: those entries of the request that are marked as changed, byte for
 * byte. */
void config_msg_answer_listen(struct api_call *call, const struct listen_request *r);

#endif
