/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy: what one sandbox may do, as plain data.
 *
 * bytes → struct policy, by policy_load() and policy_set(), against the key
 * table of keys.h. This folder reads policy files and nothing else of the host,
 * but for where Purple's own state is (policy_forbidden()). It decides nothing
 * about how a grant is enforced.
 *
 * Ownership: everything a struct policy points to lives in its arena. Lists
 * are arrays with counts. Strings are NUL-terminated UTF-8 without NUL.
 */
#ifndef PURPLE_POLICY_POLICY_H
#define PURPLE_POLICY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "policy/diag.h"

enum policy_limits {
	POLICY_FILE_MAX = 1 << 20,   /* bytes in one policy file */
	POLICY_ARENA_MAX = 16 << 20, /* bytes for all that one policy parses to */
	POLICY_EXTENDS_MAX = 8,	     /* files in one chain of extends */
	POLICY_LIST_MAX = 4096,	     /* items in one list */
	POLICY_DEPTH_MAX = 16,	     /* nesting of the YAML */
};

enum policy_enforcement { ENFORCE_STRICT, ENFORCE_BEST_EFFORT };
enum policy_workspace { WS_DIRECT, WS_READ_ONLY, WS_NONE, WS_REVIEW, WS_SCRATCH };
enum policy_home { HOME_SCRATCH, HOME_NONE };
enum policy_proc { PROC_MASKED, PROC_PIDS_ONLY, PROC_NONE };
enum policy_baseline { BASELINE_DEFAULT, BASELINE_STRICT, BASELINE_PERMISSIVE, BASELINE_NONE };
enum policy_on_failure { AUDIT_STOP, AUDIT_WARN };

struct policy_str {
	const char *s;
	struct pos pos;
};

struct policy_strs {
	struct policy_str *items;
	size_t count;
};

/* `- /usr` (the same path on both sides) or `- {host_path: …, sandbox_path: …}` */
struct policy_bind {
	const char *host;    /* "/…", "~/…", "." or with ${…}, as written */
	const char *sandbox; /* likewise */
	bool optional;	     /* absent on the host: no mount, and no error */
	struct pos pos;
};

struct policy_binds {
	struct policy_bind *items;
	size_t count;
};

/* `{path: /opt/data, mode: review}`: there, and written elsewhere */
struct policy_overlay {
	const char *path; /* as of struct policy_bind */
	int mode;	  /* WS_REVIEW, WS_SCRATCH */
	struct pos pos;
};

struct policy_overlays {
	struct policy_overlay *items;
	size_t count;
};

enum policy_op { OP_EQ, OP_NEQ, OP_LT, OP_LTE, OP_GT, OP_GTE, OP_MASKED_EQ, OP_MASKED_NEQ };

struct policy_cond {
	unsigned arg; /* 0 … 5 */
	enum policy_op op;
	uint64_t value, mask;
};

struct policy_sysrule {
	const char *syscall;
	bool allow;
	struct policy_cond *conds; /* all must hold */
	size_t conds_count;
	struct pos pos;
};

struct policy_sysrules {
	struct policy_sysrule *items;
	size_t count;
};

struct policy_env {
	const char *name, *value;
	struct pos pos;
};

struct policy_envs {
	struct policy_env *items;
	size_t count;
};

/* A number that may be absent; @set says so. */
struct policy_num {
	uint64_t v;
	bool set;
	struct pos pos;
};

struct policy {
	struct arena arena;

	struct policy_str name, description;
	int enforcement; /* enum policy_enforcement */
	bool nesting;	 /* user namespaces may be created inside */
	bool locked;	 /* no option and no `extends` may change this policy */

	struct {
		struct policy_binds immutable_paths; /* read-only */
		struct policy_binds writable_paths;
		struct policy_binds output_paths;
		struct policy_overlays overlays;
		struct policy_strs scratch_paths;
		struct policy_strs hide;       /* base/pattern.h */
		struct policy_strs protect;    /* the same, with a '!' before it or not */
		struct policy_str working_dir; /* "." is the workspace */
		int workspace;		       /* enum policy_workspace */
		int home;		       /* enum policy_home */
		int proc;		       /* enum policy_proc */
		bool sys;		       /* a read-only, masked /sys */
		bool system;		       /* the host's system directories, read-only */
		struct policy_num scratch_bytes;
		struct policy_num output_bytes; /* of each of output_paths */
	} filesystem;

	struct {
		struct policy_num max_bytes, max_files; /* of what review and scratch keep */
	} workspace;

	struct {
		int baseline;	   /* enum policy_baseline */
		bool default_deny; /* false: what no rule names is allowed */
		bool kill;	   /* a denied call ends the process; default: EPERM */
		struct policy_strs allow, deny;
		struct policy_sysrules advanced_rules;
	} syscalls;

	struct {
		struct policy_num cpu_millis; /* cpu_shares: 1.5 cores is 1500 */
		struct policy_num cpu_weight;
		struct policy_strs cpuset; /* "0", "2-3" */
		struct policy_num memory_limit_bytes, swap_limit_bytes;
		struct policy_num pids_limit;
		struct policy_num block_io_limit; /* bytes per second */
		struct policy_num session_timeout_seconds;
		struct policy_num cpu_time_seconds;
		struct policy_num kill_grace_seconds;
		struct policy_num open_files;	   /* RLIMIT_NOFILE */
		struct policy_num file_size_bytes; /* RLIMIT_FSIZE */
		struct policy_num core_size_bytes; /* RLIMIT_CORE */
		struct policy_num stack_bytes;	   /* RLIMIT_STACK */
	} resources;

	struct {
		bool default_drop;
		struct policy_strs add, drop; /* CAP_NET_BIND_SERVICE, … */
	} capabilities;

	struct {
		bool isolated;
		bool loopback;	 /* programs inside may talk over 127.0.0.1 */
		bool share_host; /* no network namespace of its own */
		struct policy_strs allow_outgoing, allow_incoming, blocked_ips, dns_servers;
		struct policy_num max_connections;
		struct policy_num bandwidth; /* bytes per second, each way */
	} network;

	struct {
		struct policy_strs pass; /* NAME or PREFIX_* */
		struct policy_envs set;
	} environment;

	struct {
		struct policy_strs allow;
		struct policy_strs gpu; /* "all" or indices */
	} devices;

	struct {
		bool enabled;
		struct policy_str log_path;
		struct policy_strs detail_level;
		int on_failure; /* enum policy_on_failure */
		struct policy_num rotate_bytes;
		bool ebpf;
	} audit;

	struct {
		struct policy_str file; /* inside */
	} denials;

	struct {
		bool enabled;
		struct policy_str endpoint; /* as policy/endpoint.h has it */
		struct policy_num wait_seconds;
	} tracing;

	/* Every file that was read, in order: the policy, then what it extends. */
	struct policy_source *sources;
	size_t sources_count;

	/* Where a profile was looked for and not found, before the one that was read. */
	const char **absent;
	size_t absent_count;

	struct pos *where; /* per key of keys.h; read it with policy_where() */
};

struct policy_source {
	const char *path;
	uint8_t sha256[32];
};

/* Where profiles are looked up by name, in order; NULL entries are skipped. */
struct policy_dirs {
	const char *admin;   /* /etc/purple/profiles */
	const char *user;    /* $XDG_CONFIG_HOME/purple/profiles */
	const char *shipped; /* PREFIX/share/purple/profiles */
};

/* The defaults of the key table, nothing else. */
void policy_init(struct policy *p);
void policy_free(struct policy *p);
#define _cleanup_policy_ _cleanup_(policy_free)

/*
 * Load a profile by name, or a file when @what contains a '/', with all that
 * it extends. Every fault is reported to @d, in one pass; returns 0 if the
 * policy is usable (warnings may have been reported), else -errno.
 * @p is started from policy_init(), and to be freed whatever is returned.
 * @dirs NULL: nothing can be looked up by name, and nothing be extended.
 */
int policy_load(struct policy *p, const char *what, const struct policy_dirs *dirs,
		struct diags *d);

/* The same from bytes; @name stands for the file in diagnostics. */
int policy_parse(struct policy *p, const char *name, const void *data, size_t len,
		 const struct policy_dirs *dirs, struct diags *d);

/*
 * Override one key: "resources.pids_limit=64" or a list item appended with
 * "network.allow_outgoing+=…". @origin stands for the file ("--pids-limit").
 */
int policy_set(struct policy *p, const char *assignment, const char *origin, struct diags *d);

/* Where key @key ("network.isolated") was last written; .file NULL: it is a default. */
struct pos policy_where(const struct policy *p, const char *key);

/* Faults that no single key shows (contradictions, forbidden paths). */
int policy_validate(const struct policy *p, struct diags *d);

/* A path of the host that no bind may show; may be a pattern of fnmatch(3). */
struct policy_forbidden {
	const char *path, *why;
	bool write_only; /* may be read, but not written */
	bool above;	 /* what lies above it is refused too */
};

/*
 * What forbids @path, or NULL. @path is absolute and canonical, or starts with
 * "~" for the home directory. *above: it was not named, but lies over what is.
 * policy_validate() asks this of what a policy says; whoever follows links
 * asks again of where they lead. The caller's HOME, XDG_CONFIG_HOME,
 * XDG_CACHE_HOME, XDG_STATE_HOME and XDG_RUNTIME_DIR count, for Purple's own
 * state is there. What is returned holds until the next call.
 */
const struct policy_forbidden *policy_forbidden(const char *path, bool write, bool *above);

/* The key that the audit trail is signed with, below the directory of configurations. */
#define POLICY_AUDIT_KEY "/purple/audit.key"

/*
 * The caller's, there or not: root's is in /etc, another's in his XDG_CONFIG_HOME
 * or ~/.config. 0; -ENOENT: no home; -ENAMETOOLONG.
 */
int policy_audit_key(char *ret, size_t size);

/* [a-z0-9][a-z0-9._-]{0,63} without ".." */
bool policy_name_ok(const char *name);

/*
 * The file of profile @name: fills @path, returns 0 or -ENOENT, -EINVAL for a
 * name that is none. The administrator's directory wins.
 */
int policy_find(const char *name, const struct policy_dirs *dirs, char *path, size_t size);

/* The profile whose name is nearly @name, for "did you mean"; false when none is. */
bool policy_nearest(const char *name, const struct policy_dirs *dirs, char *ret, size_t size);

#endif
