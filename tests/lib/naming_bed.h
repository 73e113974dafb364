/* The registry's state alone: operations are applied as if the log had just handed them over.
 *
 * Thread:  the test's; it becomes THREAD_CORE.
 * Checks:  naming_check runs after every operation.
 * Errors:  what a test cannot do without fails the test.
 */
#ifndef NACRE_TESTS_NAMING_BED_H
#define NACRE_TESTS_NAMING_BED_H

#include "naming/apply.h"

#define BED_TIME_MS 1700000000000

struct bed {
    struct naming *naming;
    struct view *view;
    int64_t time_ms;  /* of the next operation; each adds 1 */
    struct fail fail; /* of the last operation that was refused */
    /* What the last operation changed. */
    size_t touched;
    size_t removed;
    enum removal_reason reason; /* of the last removal */
    bool created;
    bool unhealthy;
};

void bed_begin(struct bed *b);

/* Free everything. */
void bed_end(struct bed *b);

/* Name in public, DEFAULT_GROUP. */
struct service_name bed_name(const char *service);

/* A healthy, enabled instance of weight 1 in DEFAULT. */
struct instance_data bed_instance(const char *ip, int port);

/* Apply op, with the bed's time when it has none; 0 or the code. */
int bed_apply(struct bed *b, struct naming_op *op);

/* Register count instances (a batch unless it is one) for a client, whose kind shows in its id:
 * "ip:port#true", "ip:port#false", or a connection. */
int bed_publish(struct bed *b, const char *client, const char *service,
                const struct instance_data *list, size_t count);

/* bed_publish of one bed_instance. */
int bed_register(struct bed *b, const char *client, const char *service, const char *ip, int port);

int bed_unpublish(struct bed *b, const char *client, const char *service);
int bed_gone(struct bed *b, const char *client);
int bed_health(struct bed *b, const char *client, const char *service, bool healthy);
int bed_service_put(struct bed *b, const char *service, bool create, bool ephemeral,
                    double threshold);
int bed_service_remove(struct bed *b, const char *service, bool is_explicit);

/* The service, or NULL. */
struct service *bed_service(struct bed *b, const char *service);

/* The shown instance of ip:port in DEFAULT, or NULL. */
const struct instance *bed_find(struct bed *b, const char *service, const char *ip, int port);

#endif
