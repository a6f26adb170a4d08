/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `purple doctor`: what this kernel and host offer, layer by layer, what is
 * missing, why, and the exact remedy.
 *
 * Judging is a pure function of facts; gathering and printing stand apart.
 */
#ifndef PURPLE_CLI_CMD_DOCTOR_H
#define PURPLE_CLI_CMD_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "cgroup/cgroup.h"
#include "sys/probe.h"

/* Purple's own files, looked up from where this program lies. */
struct doctor_install {
	char prefix[256];      /* "" for /, or if it could not be found */
	char absent[256];      /* the files that are not there, separated by blanks */
	bool launcher_dynamic; /* bin/purple has an ELF interpreter */
};

struct doctor_facts {
	struct probe_full probe;
	struct doctor_install install;
	struct cg_site cgroups;
	int ebpf;    /* ebpf_try() */
	int id_lock; /* as root: /run/purple/ids can be there (0), or the errno of why not */
};

enum doctor_state {
	DOC_OK,
	DOC_DEGRADED, /* works, with less than it could */
	DOC_MISSING,
	DOC_NOTE, /* nothing wrong: something to know */
	DOC_STATES
};

enum { DOCTOR_CHECKS_MAX = 40 };

struct doctor_verdict {
	const char *id, *layer; /* constants */
	bool required;		/* `purple run -p default` cannot do without */
	enum doctor_state state;
	char why[320];
	char remedy[1024]; /* lines; "" when there is nothing to do */
};

/* One verdict a check, in a fixed order; returns their number. Pure. */
size_t doctor_judge(const struct doctor_facts *f, struct doctor_verdict ret[DOCTOR_CHECKS_MAX]);

/* No required check is missing or degraded: a strict policy accepts neither. */
bool doctor_ready(const struct doctor_verdict *v, size_t n);

/* The report for a person, and as a JSON array of objects. */
void doctor_text(const struct doctor_facts *f, const struct doctor_verdict *v, size_t n,
		 struct buf *out);
void doctor_json(const struct doctor_verdict *v, size_t n, struct buf *out);

/* The command. Returns the exit status: 0 ready, 1 not, EXIT_PURPLE for a wrong call. */
int cmd_doctor(int argc, char **argv);

#endif
