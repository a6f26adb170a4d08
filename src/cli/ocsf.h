/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of the trail as an event of the Open Cybersecurity Schema Framework 1.5.0
 * (schema.ocsf.io): one table says which class and activity a type of event is.
 */
#ifndef PURPLE_CLI_OCSF_H
#define PURPLE_CLI_OCSF_H

#include "cli/trail_reader.h"

/* The event, the caller's; NULL: no memory. */
json_t *ocsf_event(const struct trail_line *l);

#endif
