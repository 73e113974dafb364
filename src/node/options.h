/* Options: one table with name, type, range, default and what it is for; read from a file, the
 * environment and the command line.
 *
 * Order, later wins: default, conf/application.properties (or --config), environment, command line
 * (-D key=value, --port, --data). An environment variable is looked for under the table's own
 * docker name and under the key in upper case with dots and dashes as underscores
 * (NACOS_NAMING_EXPIREINSTANCE). Values may hold ${NAME:default}, taken from the environment.
 *
 * An unknown key in the file is a warning with file, line and the nearest name (Nacos files carry
 * many keys that mean nothing here); on the command line it is an error. A bad value is an error
 * everywhere. A key that promises something this version does not do (authentication, TLS, MySQL)
 * is refused when it is switched on: better no start than an open one.
 *
 * Thread:  main, before anything starts; read-only afterwards.
 * Source:  semantics.md 7 (names, defaults of Nacos 2.5.1).
 */
#ifndef NACRE_NODE_OPTIONS_H
#define NACRE_NODE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/fail.h"
#include "base/span.h"

/* Every option's value. Strings live in the options' arena. */
struct options {
    struct arena arena;
    int64_t server_port;
    const char *server_address;
    const char *context_path;
    const char *data_dir;
    const char *log_level;
    const char *log_file;
    int64_t log_size_max;
    int64_t connections_max;
    int64_t connections_max_per_ip;
    int64_t http_connections_max;
    int64_t http_connections_max_per_ip;
    int64_t http_idle_timeout_ms;
    int64_t grpc_receive_max;
    int64_t grpc_keepalive_ms;
    int64_t grpc_keepalive_timeout_ms;
    int64_t push_window_ms;
    int64_t push_window_max_ms;
    int64_t push_ack_timeout_ms;
    int64_t push_retry_ms;
    int64_t push_tries_max;
    bool expire_instances;
    int64_t empty_service_ms;
    int64_t clean_interval_ms;
    int64_t overlay_expire_ms;
    int64_t restart_grace_ms;
    int64_t config_memory_max;
    int64_t config_content_max;
    int64_t config_gray_max;
    int64_t config_history_days;
    int64_t config_notify_tries;
    int64_t config_polls_max;
    int64_t config_listens_max;
    int64_t log_snapshot_entries;
    const char *members;        /* --members */
    const char *member_servers; /* NACOS_SERVERS */
    const char *member_list;    /* nacos.member.list */
    const char *cluster_conf;
    const char *cluster_secret;
    const char *cluster_repin;
    const char *config_read;
    const char *naming_registration;
    bool cluster_force;
    int64_t stop_grace_ms;
    bool auth_enabled;
    bool tls_enabled;
    const char *datasource_platform;
    bool prometheus;
};

/* One -D key=value of the command line, or one of its short forms. Plain data. */
struct option_arg {
    struct span key;
    struct span value;
};

/* Where values come from. Plain data, borrowed. */
struct options_source {
    const char *config_path; /* NULL: conf/application.properties in the data directory's home when
                                it is there */
    bool config_required;    /* given by --config: a missing file is an error */
    const struct option_arg *args;
    size_t args_count;
    char *const *environment; /* as environ */
    FILE *warnings;           /* one line each; NULL: none */
};

/* Fill o. On failure nothing is owned. E_INVALID, E_PARSE, E_IO, E_NOT_FOUND with where, what was
 * expected, what came. */
MUST_USE int options_load(struct options *o, const struct options_source *source,
                          struct fail *fail);

/* Release the strings. */
void options_close(struct options *o);

/* The table for people: name, default, range, what for. */
void options_print(FILE *to);

#endif
