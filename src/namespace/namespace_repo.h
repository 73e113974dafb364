/* Namespaces in the tables: tenant_info.
 *
 * Thread:  namespace_repo_put, _remove: core (the writes run on db-0). namespace_repo_load: the
 *          connection's.
 */
#ifndef NACRE_NAMESPACE_NAMESPACE_REPO_H
#define NACRE_NAMESPACE_NAMESPACE_REPO_H

#include "namespace/namespace.h"

/* Write the row behind the log: new, or changed. info is copied. */
void namespace_repo_put(struct table_writer *tables, const struct namespace_info *info,
                        bool is_new);

/* Take the row away behind the log. id is copied. */
void namespace_repo_remove(struct table_writer *tables, struct span id);

/* Each row, in the order of ids; info is borrowed for the call. */
typedef void (*namespace_row_fn)(void *arg, const struct namespace_info *info);
MUST_USE int namespace_repo_load(struct db *db, namespace_row_fn row, void *arg, struct fail *fail);

#endif
