/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel offers. Facts only, no decisions: plan/ turns them into
 * layers, cli/cmd_doctor.c into advice.
 *
 * probe_quick() costs two system calls and is on the start path: it is what a
 * cached plan is keyed by. probe_full() tries things in children and may take
 * tens of milliseconds.
 */
#ifndef PURPLE_SYS_PROBE_H
#define PURPLE_SYS_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe_quick {
	char release[65]; /* uname: 6.18.44 */
	char version[65];
	char machine[65];
	uint32_t landlock_abi; /* 0: none; landlock_create_ruleset(2) */
};

int probe_quick(struct probe_quick *ret);

/* Each result: 0 it works here, else the errno that it failed with. */
struct probe_full {
	struct probe_quick quick;
	int userns;	    /* clone(CLONE_NEWUSER) and writing its maps */
	int userns_mount;   /* … and mounting a tmpfs inside */
	int userns_proc;    /* … and a procfs (EPERM where /proc is masked: containers) */
	int namespaces[8];  /* user pid mount net ipc uts cgroup time */
	int mount_api;	    /* fsopen, open_tree, move_mount, mount_setattr */
	int idmapped_mount; /* as root only; of the current directory */
	int seccomp_filter;
	int seccomp_notify;
	int seccomp_arch; /* this build knows the machine's AUDIT_ARCH */
	int time_ns;
	int pidfd;
	int overlay_userns;
	int keyctl;
	int close_range;
	bool chrooted;	     /* "/" is not the root of the mount namespace */
	bool container;	     /* signs of one: /run/.containerenv, /.dockerenv, pid 1's cgroup … */
	bool root;	     /* effective uid 0 with CAP_SYS_ADMIN in the initial namespace */
	bool tiocsti_legacy; /* dev.tty.legacy_tiocsti = 1 */
	int64_t max_user_namespaces;   /* user.max_user_namespaces, -1: no such file */
	int unprivileged_userns_clone; /* Debian's sysctl, -1: no such file */
	int apparmor_restrict_userns;  /* Ubuntu's sysctl, -1: no such file */
	char lsm[128];		       /* /sys/kernel/security/lsm, "" if not readable */
	int yama_ptrace_scope;	       /* -1: no Yama */
	bool newuidmap;		       /* newuidmap and an /etc/subuid range for this user */
	int network;		       /* probe_network(), by whoever has the messages; else 0 */
	int landlock;	  /* landlock_create_ruleset: ENOSYS not built in, EOPNOTSUPP not in lsm= */
	int no_new_privs; /* set and read back */
	int cap_drop;	  /* in a user namespace: the bounding set and the other sets emptied */
	int clone3;	  /* ENOSYS or EPERM under the seccomp filter of some containers */
	bool proc_mounted; /* /proc is a procfs */
	bool proc_masked;  /* something is mounted below /proc */
	int seccomp_outer; /* mode that this process already runs in (0, 1, 2); -1: unknown */
	uint32_t uid;	   /* effective */
};

/*
 * Always 0: what cannot be found out is reported as failing, in its field.
 * Each trial runs in a child with two seconds to live; the caller's process,
 * its children's exit statuses apart (a SIGCHLD handler may see them), and
 * the host are left as they were. Not for the static programs.
 */
int probe_full(struct probe_full *ret);

/*
 * Can a new user and network namespace have the nf_tables messages at @batch,
 * and be one in which every address is local? 0, or the errno it failed with;
 * *v6: of IPv6 as well. In a child, as above.
 */
int probe_network(const void *batch, size_t size, bool *v6);

#endif
