/* SPDX-License-Identifier: Apache-2.0 */
/* The names of system calls for static programs, which have no libseccomp. */
#ifndef PURPLE_PLAN_CALL_NAMES_H
#define PURPLE_PLAN_CALL_NAMES_H

/* Of call @nr of this machine; NULL: nobody knows it. Constant. */
const char *call_name(int nr);

#endif
