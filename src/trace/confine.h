/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-trace gives up what it does not need once its programs are in the
 * kernel, before it reads a record: root's id, every capability, the file
 * system, and all system calls but those by which it waits, reads its socket
 * and writes to it. Irreversible.
 */
#ifndef PURPLE_TRACE_CONFINE_H
#define PURPLE_TRACE_CONFINE_H

#include "base/err.h"
#include "sys/confine.h"

int trace_confine(struct err *e);

/* For tests of each layer without the others. */
extern const struct confine trace_confinement;

#endif
