/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-init without the one step that keeps those inside away from a command
 * until its exec: the control of test_exec_attest.py. Never installed.
 */
#include <linux/prctl.h>

#undef PR_SET_DUMPABLE
#define PR_SET_DUMPABLE PR_GET_DUMPABLE
#include "programs/purple-init.c"
