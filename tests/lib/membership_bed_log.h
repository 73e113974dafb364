/* The part of membership_bed.h that plays the log, and judges. For the bed itself.
 *
 * Thread:  the test's.
 */
#ifndef NACRE_TESTS_MEMBERSHIP_BED_LOG_H
#define NACRE_TESTS_MEMBERSHIP_BED_LOG_H

#include "membership_bed.h"

/* The node's own configuration, given to its membership. */
void bed_tell_servers(struct bed *b, struct bed_node *n);

/* Who leads, what it changes, and who gets it. */
void bed_step_log(struct bed *b);

#endif
