/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: everything that will be done, decided before anything is done.
 *
 * A plan is one relocatable block of bytes: a fixed header, then tables and
 * strings that the header names by offset. purple-compile writes it, the
 * cache keeps it, the launcher reads it and does exactly what it says. The
 * loader treats the bytes as hostile: plan_open() checks every offset, count,
 * enumeration and string before anybody follows one.
 *
 * Everything is little-endian and native-sized for one machine: a plan is
 * never carried to another (its key covers the kernel and our version).
 *
 * What depends on the call (command, working directory, descriptors,
 * terminal) is struct launch, in jail/launch.h.
 */
#ifndef PURPLE_PLAN_PLAN_H
#define PURPLE_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/netrule.h"

#define PLAN_MAGIC 0x4e4c50454c505550ULL /* "PUPLEPLN" */
#define PLAN_VERSION 1
#define PLAN_MAX (64 * 1024) /* bytes; a usual plan has 5 KiB */
enum { PLAN_OUTPUTS_MAX = 8, PLAN_OVERLAYS_MAX = 8 };

/* A NUL-terminated string at @off; @len without the NUL. off 0: absent. */
struct plan_str {
	uint32_t off, len;
};

/* @count entries at @off, aligned to 8. */
struct plan_table {
	uint32_t off, count;
};

/*
 * What to put at a place in the new root, in order. Paths are absolute and
 * canonical, or start with "./": then they are relative to the workspace, and
 * the entry comes after PM_WORKSPACE.
 */
enum plan_mount_kind {
	PM_BIND,      /* the host's @source, opened by descriptor */
	PM_WORKSPACE, /* the directory that the launch names, at the same path */
	PM_SCRATCH,   /* a writable directory of the root tmpfs; in a bind: a tmpfs of its own */
	PM_PROC,      /* a new procfs; @data: "subset=pid" or absent */
	PM_SYSFS,     /* a new sysfs */
	PM_DEVPTS,    /* a new devpts instance */
	PM_DEVICE,    /* the host's character device @source; @rdev must match */
	PM_MASK_FILE, /* /dev/null over a file, where there is one */
	PM_MASK_DIR,  /* an empty read-only directory over a directory, where there is one */
	PM_DIR,	      /* a directory of the root tmpfs */
	PM_FILE,      /* a file of the root tmpfs with content @data */
	PM_SYMLINK,   /* a symbolic link to @source */
	PM_OVERLAY,   /* the host's directory @source, with layers: PMF_LAYERED; at the same path */
	PM_OUTPUT,    /* a tmpfs that is written only; collected at the end into @source */
	PM_KINDS
};

enum plan_mount_flags {
	PMF_RDONLY = 1 << 0,
	PMF_NOSUID = 1 << 1,
	PMF_NODEV = 1 << 2,
	PMF_NOEXEC = 1 << 3,
	PMF_RECURSIVE = 1 << 4, /* bind with what is mounted below */
	PMF_IDMAP = 1 << 5,	/* as root: shift ids into the sandbox's range */
	PMF_IS_FILE = 1 << 6,	/* the source is no directory */
	PMF_OUTSIDE = 1 << 7,	/* as root: opened by the launcher, which can reach it */
	PMF_IDS = 1 << 8,	/* PM_FILE: "{uid}" and "{gid}" in @data are the command's ids */
	PMF_TOLD = 1 << 9,	/* PM_FILE: the supervisor appends to it what was refused */
	PMF_REVIEW = 1 << 10,	/* PM_WORKSPACE, PM_OVERLAY: writes go to layers, which wait for a
				   person … */
	PMF_DISCARD = 1 << 11,	/* … or are thrown away */
	PMF_MEMORY = 1 << 12,	/* PMF_DISCARD: they are in memory, not in the state directory */
	PMF_LAYERED = PMF_REVIEW | PMF_DISCARD,
	PMF_HIDE = 1 << 13, /* what struct plan.hide matches in it is covered */
	/*
	 * PM_WORKSPACE: what writes names in it, or opens its files for writing, is done by
	 * PID 1 if @protect lets it; commands have no right of Landlock's to do it themselves.
	 */
	PMF_PROTECT = 1 << 14,
	PMF_ALL = (1 << 15) - 1
};

struct plan_mount {
	uint16_t kind; /* enum plan_mount_kind */
	uint16_t mode; /* for what is created */
	uint32_t flags;
	struct plan_str source, target, data;
	uint64_t rdev;	   /* PM_DEVICE: st_rdev, else 0 */
	uint64_t landlock; /* LANDLOCK_ACCESS_FS_* granted beneath it */
};

/* Of what is hidden; what covers it. */
enum { PLAN_HIDE_MAX = 128 };
#define PLAN_HIDE_FILE "/dev/.hidden"
#define PLAN_HIDE_DIR "/dev/.hidden.d"

struct plan_rlimit {
	uint32_t resource; /* RLIMIT_* */
	uint32_t pad;
	uint64_t soft, hard;
};

struct plan_env {
	struct plan_str text; /* set: "NAME=VALUE"; pass: "NAME" or "PREFIX_*" */
};

/* A fact of the host that the plan was made from; when it changed: compile anew. */
enum plan_fact_kind {
	PF_ABSENT, /* @path does not exist */
	PF_MTIME,  /* the directory @path was last changed at @value (ns) */
	PF_IS,	   /* @path leads to what plan_identity() calls @value */
	PF_CGROUP, /* cg_site_identity() is @value; @path is absent */
	PF_KINDS
};
struct plan_fact {
	uint32_t kind;
	uint32_t pad;
	struct plan_str path;
	int64_t value;
};

/* A file that the policy was read from, and its content then. */
struct plan_source {
	struct plan_str path;
	uint8_t sha256[32];
};

enum plan_layer_id {
	LAYER_USER, /* the eight namespaces … */
	LAYER_PID,
	LAYER_MOUNT,
	LAYER_NET,
	LAYER_IPC,
	LAYER_UTS,
	LAYER_CGROUP,
	LAYER_TIME,
	LAYER_CAPABILITIES, /* … and the four that bind the process itself */
	LAYER_NO_NEW_PRIVS,
	LAYER_LANDLOCK,
	LAYER_SECCOMP,
	LAYERS
};
enum plan_layer_state { LS_ENFORCED, LS_DOWNGRADED, LS_OFF, LS_STATES };

struct plan_layer {
	uint32_t id, state;
	struct plan_str why; /* absent for enforced */
};

/* Something that the policy asked for and that is not done (best-effort only). */
struct plan_downgrade {
	struct plan_str what, why;
};

enum plan_idmap {
	IDMAP_SINGLE, /* the caller's own id, to itself */
	IDMAP_RANGE,  /* as root: 65536 ids of a range of its own */
	IDMAP_KINDS
};

enum plan_steps {			    /* things that are on or off */
		  STEP_KEYRING = 1 << 0,    /* a session keyring of its own */
		  STEP_LOOPBACK = 1 << 1,   /* lo up in the network namespace */
		  STEP_NO_NESTING = 1 << 2, /* max_user_namespaces = 0 */
		  STEP_NO_NEW_PRIVS = 1 << 3,
		  STEP_DROP_CAPS = 1 << 4,     /* all five sets to caps_* */
		  STEP_NEW_SESSION = 1 << 5,   /* setsid, so no controlling terminal */
		  STEP_PTY = 1 << 6,	       /* a terminal is replaced by one of its own */
		  STEP_CLOSE_FDS = 1 << 7,     /* nothing but 0-2 reaches the command */
		  STEP_BOUND_INOTIFY = 1 << 8, /* max_inotify_instances = 64 */
		  STEP_ALL = (1 << 9) - 1
};

/* cgroups(7): version 1 has a hierarchy for each, or for some together. */
enum plan_controller {
	PC_CPU,
	PC_CPUACCT, /* version 2: part of cpu */
	PC_CPUSET,
	PC_MEMORY,
	PC_PIDS,
	PC_IO,	    /* version 1: blkio */
	PC_FREEZER, /* version 2: every group */
	PLAN_CONTROLLERS
};

/* What all processes together may use. 0: no limit, unless said otherwise. */
struct plan_limits {
	uint32_t controllers; /* 1 << enum plan_controller: without these, no start */
	uint32_t cpu_weight;  /* 1 to 10000, as cpu.weight; 100 is everybody's */
	uint64_t cpu_millis;  /* 1500: one and a half processors */
	uint64_t memory;      /* bytes */
	uint64_t swap;	      /* bytes beside @memory; with a @memory, 0 is none at all */
	uint64_t pids;
	uint64_t io_rate;	/* bytes a second, of each block device, read and written */
	struct plan_str cpuset; /* "0-1,4"; absent: all */
	uint32_t session_s;	/* wall clock, from the start of the command */
	uint32_t cpu_time_s;	/* processor time of all together */
	uint32_t grace_s;	/* between SIGTERM and SIGKILL; 0: at once */
	uint32_t pad;
};

/*
 * The network of a sandbox that is not isolated. In its namespace there is lo
 * alone, and every address is local; the sockets, which purple-net serves, take
 * what is sent anywhere.
 */
enum plan_network_flags {
	PN_ON = 1 << 0,	    /* without it nothing else here counts */
	PN_V6 = 1 << 1,	    /* IPv6 as well */
	PN_LOCKED = 1 << 2, /* the policy is: its rules stay as they are, `purple net` too */
	PN_PORTS = 1 << 3,  /* no nf_tables here: PS_TCP on each port that a rule lists */
	PN_ALL = (1 << 4) - 1
};

/* The same numbers as enum net_socket_kind of net/protocol.h. */
enum plan_socket_kind {
	PS_TCP = 1, /* listens; the rules of @batch send it what goes anywhere, but: PN_PORTS */
	PS_DNS_TCP, /* listens; on port 53 */
	PS_DNS_UDP, /* on port 53 */
	PS_UDP,	    /* on a port that a rule lists */
	PS_ICMP,    /* raw; sends what says that a datagram was refused; port 0 */
	PS_KINDS
};

enum { PLAN_PROTECT_MAX = 256 };
enum { PLAN_SOCKETS_MAX = 200, PLAN_SERVERS_MAX = 8, PLAN_RULES_MAX = 1024 };
enum { PLAN_UDP_PORTS_MAX = 64, PLAN_TCP_PORTS_MAX = 60 };
enum { PLAN_LISTENERS_MAX = 64, PLAN_POOL_MAX = 128 };
enum { PLAN_TCP_PORT = 1 }; /* of PS_TCP: below those that programs inside may bind */
enum { PLAN_DNS_PORT = 53, PLAN_PROXY_PORT = 3128 };

/* lo's own address, and the server of names inside; of 198.18.0.0/15, as net/config.h has it. */
#define PLAN_RESOLVER "198.18.0.1"

struct plan_socket {  /* bound to every address */
	uint8_t kind; /* enum plan_socket_kind */
	uint8_t v6;
	uint16_t port;
};

struct plan_server { /* of names, on the host's side */
	uint8_t v6;
	uint8_t pad;
	uint16_t port;
	uint8_t addr[16]; /* IPv4: the first 4; network order */
};

/* On the host's side: a published port. */
struct plan_listener {
	uint8_t v6;
	uint8_t optional; /* not where the host has no such address */
	uint16_t port;
	uint16_t inside; /* port of the sandbox's loopback that it leads to */
	uint16_t pad;
	uint8_t addr[16]; /* IPv4: the first 4; network order; 0: every address */
};

struct plan_network {
	uint32_t flags; /* enum plan_network_flags */
	uint32_t max_connections;
	uint32_t idle_s; /* a connection without a byte for so long is closed */
	uint32_t pool;	 /* sockets of each family for connections in; 0: nothing is published */
	uint64_t bytes_per_second;	/* of all together, each way; 0: no limit */
	struct plan_table allow, block; /* struct net_rule */
	struct plan_table servers;	/* struct plan_server; none: the host's */
	struct plan_table sockets;	/* struct plan_socket */
	struct plan_table listeners;	/* struct plan_listener */
	struct plan_table batch; /* bytes: nf_tables messages from begin to end; PN_PORTS: 0 */
};

enum plan_audit_flags {
	PA_ON = 1 << 0,	   /* a trail is written */
	PA_WARN = 1 << 1,  /* when it cannot be, the sandbox goes on */
	PA_OPENS = 1 << 2, /* every file that is opened, not only for writing */
	PA_EBPF = 1 << 3,  /* by the kernel's own programs */
	PA_ALL = (1 << 4) - 1
};

/* The classes of event/event.h that are written; its first, the sandbox's life, always is. */
enum plan_audit_class {
	PAC_LIFE = 1 << 0,
	PAC_RESOURCE = 1 << 1,
	PAC_FILESYSTEM = 1 << 2,
	PAC_SYSCALL = 1 << 3,
	PAC_NETWORK = 1 << 4,
	PAC_API = 1 << 5,
	PAC_SECURITY = 1 << 6,
	PAC_ALL = (1 << 7) - 1
};

/* What is written down of it all. Without PA_ON all but @denials is empty. */
struct plan_audit {
	uint32_t flags;	  /* enum plan_audit_flags */
	uint32_t classes; /* enum plan_audit_class */
	uint64_t rotate_bytes;
	struct plan_str path;	 /* of the trail, on the host */
	struct plan_str denials; /* inside; absent: none */

	/* Why a call was refused, where somebody is told of that. */
	struct plan_table causes; /* struct sock_filter; answers by enum filter_cause */
	struct plan_str deny;	  /* syscalls.deny as a policy has it: "bpf, kcmp" */
	struct plan_table rules;  /* struct plan_str: of syscalls.advanced_rules each, likewise */
};

/* Spans of OpenTelemetry for this sandbox; purple-otlp sends them. */
enum plan_tracing_flags {
	PT_ON = 1 << 0,	    /* without it nothing else here counts */
	PT_CALLER = 1 << 1, /* the caller's OTEL_* variables count */
	PT_ALL = (1 << 2) - 1
};
enum { PLAN_TRACING_WAIT_MAX = 60 };

struct plan_tracing {
	uint32_t flags;		  /* enum plan_tracing_flags */
	uint32_t wait_s;	  /* the end waits so long for them to be delivered */
	struct plan_str endpoint; /* policy/endpoint.h; absent: the caller's, or the usual one */
};

struct plan {
	uint64_t magic;
	uint32_t version;
	uint32_t size;	   /* of the whole block */
	uint64_t checksum; /* plan_checksum() with this field 0: finds corruption */
	uint8_t key[32];   /* what it was compiled for: see plan/cache.h */

	struct plan_str profile;
	uint32_t enforcement; /* enum policy_enforcement */
	uint32_t idmap;	      /* enum plan_idmap */
	uint64_t namespaces;  /* CLONE_NEW* */
	uint32_t steps;	      /* enum plan_steps */
	uint32_t securebits;
	uint64_t caps_bounding, caps_permitted, caps_effective, caps_inheritable, caps_ambient;

	uint64_t landlock_fs, landlock_net, landlock_scoped; /* handled; 0: none */
	uint64_t landlock_root;				     /* granted on "/", and so everywhere */
	uint32_t landlock_abi;				     /* that it was made for */
	uint32_t umask;

	struct plan_str hostname;
	struct plan_str working_dir; /* as a target; absent: the workspace, or / without one */
	uint64_t root_size;	     /* bytes of the root tmpfs, scratch included */
	uint64_t root_inodes;	     /* its files and directories at most */

	uint64_t workspace_bytes; /* that PMF_LAYERED may take; 0: no limit, in memory half of it */
	uint64_t workspace_files;
	uint64_t output_bytes; /* of each PM_OUTPUT */

	struct plan_limits limits;
	struct plan_network network;
	struct plan_audit audit;
	struct plan_tracing tracing;

	struct plan_table mounts;   /* struct plan_mount, parents first */
	struct plan_table hide;	    /* struct plan_str, of base/pattern.h: at most PLAN_HIDE_MAX */
	struct plan_table rlimits;  /* struct plan_rlimit */
	struct plan_table env_set;  /* struct plan_env */
	struct plan_table env_pass; /* struct plan_env */
	struct plan_table filter;   /* struct sock_filter, ready to load */
	struct plan_table layers;   /* struct plan_layer, LAYERS of them */
	struct plan_table downgrades; /* struct plan_downgrade */
	struct plan_table facts;      /* struct plan_fact */
	struct plan_table sources;    /* struct plan_source */
	/* struct sock_filter; if there is one, commands get it instead of @filter: plan/filter.h */
	struct plan_table observer;
	/*
	 * struct plan_str: patterns (base/pattern.h) of PMF_PROTECT, relative to the workspace,
	 * of which the last that matches decides; "!PATTERN": not protected.
	 */
	struct plan_table protect;
};

/*
 * Check @size bytes at @data (aligned to 8) and return the plan in them, or
 * NULL. @why, if not NULL, gets a constant string that says what is wrong.
 * The block must not change afterwards.
 */
const struct plan *plan_open(const void *data, size_t size, const char **why);

/* The entry of the workspace; NULL: the plan has none. */
const struct plan_mount *plan_workspace(const struct plan *p);

/* The string, or NULL if absent. Valid for strings of an opened plan. */
static inline const char *plan_string(const struct plan *p, struct plan_str s)
{
	return s.off ? (const char *)p + s.off : NULL;
}

#define plan_items(p, table, type) \
	((const type *)(const void *)((const char *)(p) + (p)->table.off))

/* One number for a file, by its device and inode. */
static inline int64_t plan_identity(uint64_t dev, uint64_t ino)
{
	return (int64_t)(ino ^ dev << 32 ^ dev >> 32);
}

/* FNV-like fold over the block; finds damage, proves nothing. */
uint64_t plan_checksum(const void *data, size_t size);

extern const char *const plan_layer_names[LAYERS];

#endif
