/* Falsehoods: each makes one check fail, or the check is worth nothing. Most stand where the thing
 * is seen (w->falsehood); here are their names, and what clients wrongly believe.
 */
#include "cluster_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum falsehood break_named(const char *name)
{
    static const char *const names[] = {
        [FALSE_LEADER] = "leader", [FALSE_ENTRY] = "entry", [FALSE_STATE] = "state",
        [FALSE_LOG] = "log",       [FALSE_READ] = "read",   [FALSE_CLIENT] = "client",
        [FALSE_DEATH] = "death",   [FALSE_PUSH] = "push",   [FALSE_SILENCE] = "silence",
    };
    for (size_t i = TRUTH + 1; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return (enum falsehood)i;
        }
    }
    fprintf(stderr, "no falsehood is called %s\n", name);
    exit(2);
}

/* It takes for answered what it never asked for. */
static void believe_registered(struct naming_client *c, unsigned s)
{
    c->wants[s] = true;
    c->known[s] = true;
    c->is_unsure[s] = false;
    c->known_conn[s] = conn_key(&c->conn);
}

/* Its process is gone; its connection, which would say so, is not. */
static void die_unheard(struct naming_client *c)
{
    c->is_alive = false;
    for (unsigned s = 0; s < SERVICES_MAX; s++) {
        c->wants[s] = false;
        c->known[s] = false;
        c->subscribes[s] = false;
    }
}

void break_beliefs(struct world *w)
{
    for (unsigned i = 0; i < w->naming_count; i++) {
        struct naming_client *c = &w->naming[i];
        for (unsigned s = 0; s < SERVICES_MAX && conn_key(&c->conn); s++) {
            if (w->falsehood == FALSE_CLIENT && c->is_alive && !c->wants[s]) {
                believe_registered(c, s);
                return;
            }
            if (w->falsehood == FALSE_DEATH && c->is_alive && c->wants[s]) {
                die_unheard(c);
                return;
            }
        }
    }
}
