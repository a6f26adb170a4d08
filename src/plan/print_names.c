/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/print_names.h"

#include <assert.h>
#include <linux/filter.h>
#include <linux/sched.h>

#include "base/macros.h"
#include "plan/bpf.h"
#include "plan/syscall.h"
#include "policy/policy.h"

/* clang-format off */
const struct bit_name namespace_names[] = {
	{ CLONE_NEWUSER, "user" }, { CLONE_NEWPID, "pid" },	  { CLONE_NEWNS, "mount" },
	{ CLONE_NEWNET, "net" },   { CLONE_NEWIPC, "ipc" },	  { CLONE_NEWUTS, "uts" },
	{ CLONE_NEWTIME, "time" }, { CLONE_NEWCGROUP, "cgroup" }, { 0, NULL },
};

const struct bit_name audit_class_names[] = {
	{ PAC_LIFE, "life" },		{ PAC_RESOURCE, "resource" },
	{ PAC_FILESYSTEM, "filesystem" }, { PAC_SYSCALL, "syscall" },
	{ PAC_NETWORK, "network" },	{ PAC_API, "api_calls" },
	{ PAC_SECURITY, "security_events" }, { 0, NULL },
};

const struct bit_name audit_flag_names[] = {
	{ PA_OPENS, "all_opens" },
	{ PA_EBPF, "ebpf" },
	{ 0, NULL },
};

const struct bit_name step_names[] = {
	{ STEP_KEYRING, "keyring" },
	{ STEP_LOOPBACK, "loopback" },
	{ STEP_NO_NESTING, "no_nesting" },
	{ STEP_BOUND_INOTIFY, "bound_inotify" },
	{ STEP_NO_NEW_PRIVS, "no_new_privs" },
	{ STEP_DROP_CAPS, "drop_capabilities" },
	{ STEP_NEW_SESSION, "new_session" },
	{ STEP_PTY, "pty" },
	{ STEP_CLOSE_FDS, "close_fds" },
	{ 0, NULL },
};

const struct bit_name mount_flag_names[] = {
	{ PMF_RDONLY, "ro" },	      { PMF_NOSUID, "nosuid" },	  { PMF_NODEV, "nodev" },
	{ PMF_NOEXEC, "noexec" },     { PMF_RECURSIVE, "rec" },	  { PMF_IDMAP, "idmap" },
	{ PMF_OUTSIDE, "outside" },
	{ PMF_IS_FILE, "file" },      { PMF_IDS, "ids" },	  { PMF_TOLD, "told" },
	{ PMF_REVIEW, "review" },     { PMF_DISCARD, "discard" }, { PMF_MEMORY, "memory" },
	{ PMF_HIDE, "hide" },
	{ PMF_PROTECT, "protect" },
	{ 0, NULL },
};

/* include/uapi/linux/landlock.h; the build machine's header may be older. */
const struct bit_name landlock_fs_names[] = {
	{ 1 << 0, "execute" },	    { 1 << 1, "write_file" },  { 1 << 2, "read_file" },
	{ 1 << 3, "read_dir" },	    { 1 << 4, "remove_dir" },  { 1 << 5, "remove_file" },
	{ 1 << 6, "make_char" },    { 1 << 7, "make_dir" },    { 1 << 8, "make_reg" },
	{ 1 << 9, "make_sock" },    { 1 << 10, "make_fifo" },  { 1 << 11, "make_block" },
	{ 1 << 12, "make_sym" },    { 1 << 13, "refer" },      { 1 << 14, "truncate" },
	{ 1 << 15, "ioctl_dev" },   { 0, NULL },
};

const struct bit_name landlock_net_names[] = {
	{ 1 << 0, "bind_tcp" }, { 1 << 1, "connect_tcp" }, { 0, NULL },
};

const struct bit_name landlock_scoped_names[] = {
	{ 1 << 0, "abstract_unix_socket" }, { 1 << 1, "signal" }, { 0, NULL },
};

/* include/uapi/linux/securebits.h */
const struct bit_name securebit_names[] = {
	{ 1 << 0, "noroot" },		    { 1 << 1, "noroot_locked" },
	{ 1 << 2, "no_setuid_fixup" },	    { 1 << 3, "no_setuid_fixup_locked" },
	{ 1 << 4, "keep_caps" },	    { 1 << 5, "keep_caps_locked" },
	{ 1 << 6, "no_cap_ambient_raise" }, { 1 << 7, "no_cap_ambient_raise_locked" },
	{ 0, NULL },
};

const char *const mount_kind_names[PM_KINDS] = {
	[PM_BIND] = "bind",	    [PM_WORKSPACE] = "workspace",
	[PM_SCRATCH] = "scratch",   [PM_PROC] = "proc",		  [PM_SYSFS] = "sysfs",
	[PM_DEVPTS] = "devpts",	    [PM_DEVICE] = "device",	  [PM_MASK_FILE] = "mask_file",
	[PM_MASK_DIR] = "mask_dir", [PM_DIR] = "dir",		  [PM_FILE] = "file",
	[PM_SYMLINK] = "symlink",   [PM_OVERLAY] = "overlay",	  [PM_OUTPUT] = "output",
};

const char *const layer_state_names[LS_STATES] = {
	[LS_ENFORCED] = "enforced", [LS_DOWNGRADED] = "downgraded", [LS_OFF] = "off",
};

const char *const idmap_names[IDMAP_KINDS] = {
	[IDMAP_SINGLE] = "single", [IDMAP_RANGE] = "range",
};

const char *const fact_names[PF_KINDS] = {
	[PF_ABSENT] = "absent", [PF_MTIME] = "mtime", [PF_IS] = "is", [PF_CGROUP] = "cgroup",
};

const char *const socket_kind_names[PS_KINDS] = {
	[PS_TCP] = "tcp",
	[PS_DNS_TCP] = "dns over tcp",
	[PS_DNS_UDP] = "dns over udp",
	[PS_UDP] = "udp",
	[PS_ICMP] = "icmp",
};

const char *const enforcement_names[2] = {
	[ENFORCE_STRICT] = "strict", [ENFORCE_BEST_EFFORT] = "best-effort",
};
/* clang-format on */

const char *capability_name(unsigned cap)
{
	/* include/uapi/linux/capability.h, in the order of the numbers */
	/* clang-format off */
	static const char *const names[] = {
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
		"CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
		"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
		"CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
		"CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN",
		"CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
		"CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
		"CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN",
		"CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ",
		"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
	};
	/* clang-format on */

	static_assert(ARRAY_SIZE(names) == 41, "one name for each capability");
	return cap < ARRAY_SIZE(names) ? names[cap] : NULL;
}

const char *rlimit_name(unsigned resource)
{
	/* include/uapi/asm-generic/resource.h; the same on x86 and arm64 */
	static const char *const names[] = {
		"cpu",	   "fsize", "data",  "stack",	   "core",     "rss",  "nproc",	 "nofile",
		"memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime",
	};

	return resource < ARRAY_SIZE(names) ? names[resource] : NULL;
}

bool plan_call(const struct plan *p, int nr, uint32_t *ret)
{
	const struct sock_filter *insns = plan_items(p, filter, struct sock_filter);

	return bpf_decide(insns, p->filter.count, syscall_native_arch(), (uint32_t)nr, ret);
}

/* clang-format off */
const struct limit_name limit_names[LIMIT_NAMES] = {
	{ "cpu", offsetof(struct plan_limits, cpu_millis), 8, "thousandths of a processor", "cgroup" },
	{ "cpu weight", offsetof(struct plan_limits, cpu_weight), 4, "", "cgroup" },
	{ "memory", offsetof(struct plan_limits, memory), 8, "bytes", "cgroup" },
	{ "swap", offsetof(struct plan_limits, swap), 8, "bytes", "cgroup" },
	{ "processes", offsetof(struct plan_limits, pids), 8, "", "cgroup and rlimit" },
	{ "io", offsetof(struct plan_limits, io_rate), 8, "bytes/s of each device", "cgroup" },
	{ "session", offsetof(struct plan_limits, session_s), 4, "s", "supervisor" },
	{ "cpu time", offsetof(struct plan_limits, cpu_time_s), 4, "s", "supervisor and rlimit" },
	{ "kill grace", offsetof(struct plan_limits, grace_s), 4, "s", "supervisor" },
};
/* clang-format on */

uint64_t limit_value(const struct plan_limits *l, const struct limit_name *n)
{
	const char *field = (const char *)l + n->offset;

	return n->size == 8 ? *(const uint64_t *)(const void *)field
			    : *(const uint32_t *)(const void *)field;
}

bool limit_is_set(const struct plan_limits *l, const struct limit_name *n)
{
	bool swap = n->offset == offsetof(struct plan_limits, swap); /* 0 is one: none at all */
	bool grace = n->offset == offsetof(struct plan_limits, grace_s);

	return grace || (swap ? l->memory != 0 : limit_value(l, n) != 0);
}
