/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The baselines, as groups of calls, and the guards on arguments.
 *
 * Chosen by what programs were seen to need (python, node, go, java, git,
 * gcc, gdb, strace, postgres, nginx, six coding agents) and by comparing the
 * allow-lists of container engines. A call that only a privileged process
 * can use, that reaches state which no namespace separates, or that few
 * programs use and many exploits did, is not in the default.
 *
 * Refusal: EPERM, except ENOSYS for calls for which C libraries and programs
 * have a fall-back, since they look for exactly that.
 */
#include <errno.h>

#include "plan/syscall.h"

/* clang-format off */

/* purple-init runs under the same filter, and so does every exec. */
static const char *const needed[] = {
	/* exec and the loaders of glibc and musl */
	"execve", "execveat", "exit", "exit_group", "brk", "mmap", "munmap", "mprotect",
	"arch_prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "getrandom",
	"open", "openat", "close", "read", "readv", "pread64", "write", "writev", "access",
	"faccessat", "stat", "fstat", "newfstatat", "futex", "getpid", "gettid",
	/* the reaper, and what starts a command */
	"clone", "vfork", "wait4", "waitid", "kill", "restart_syscall", "rt_sigaction",
	"rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigsuspend", "prctl",
	"close_range", "fcntl", "dup3", "setsid", "setpgid", "ioctl", "chdir", "poll", "ppoll",
	/*
	 * How purple-init is asked for commands, and answers, in a sandbox that stays.
	 * Where these are not a baseline's own, the command cannot make a socket:
	 * all that it can send to is what the caller gave it as 0, 1 or 2, if one of
	 * those is a UNIX socket, and nothing comes from there that its other end
	 * did not send.
	 */
	"recvmsg", "sendmsg",
};

static const char *const strict[] = {
	/* files */
	"lseek", "pwrite64", "preadv", "pwritev", "lstat", "readlink", "readlinkat", "getcwd",
	"fchdir", "getdents", "getdents64", "statfs", "fstatfs", "dup", "dup2", "pipe", "pipe2",
	"creat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat",
	"rmdir", "symlink", "symlinkat", "link", "linkat", "truncate", "ftruncate", "fallocate",
	"chmod", "fchmod", "fchmodat", "umask", "utimensat", "fsync", "fdatasync", "flock",
	"fadvise64", "readahead", "sendfile", "fgetxattr", "getxattr", "lgetxattr", "flistxattr",
	"listxattr", "llistxattr",
	/* waiting */
	"select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait",
	"epoll_pwait", "eventfd", "eventfd2",
	/* memory */
	"mremap", "madvise", "msync", "mincore",
	/* processes and signals */
	"fork", "getppid", "getpgid", "getpgrp", "getsid", "tgkill", "tkill", "sigaltstack",
	"rt_sigpending", "pause", "alarm", "setitimer", "getitimer", "sched_yield",
	"sched_getaffinity", "get_robust_list",
	/* who and where am I */
	"getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "uname",
	"sysinfo", "getrlimit", "getrusage", "times", "getcpu",
	/* time */
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
};

static const char *const strict_new[] = {
	"statx", "copy_file_range", "faccessat2", "membarrier", "preadv2", "pwritev2",
};

static const char *const default_[] = {
	/* files */
	"chown", "fchown", "lchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr",
	"removexattr", "lremovexattr", "fremovexattr", "utime", "utimes", "futimesat", "mknod",
	"mknodat", "sync", "syncfs", "sync_file_range", "splice", "tee", "vmsplice",
	"name_to_handle_at", "inotify_init", "inotify_init1", "inotify_add_watch",
	"inotify_rm_watch", "memfd_create",
	/* sockets: the guards name the families */
	"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto",
	"recvfrom", "sendmmsg", "recvmmsg", "shutdown", "getsockname",
	"getpeername", "setsockopt", "getsockopt",
	/* memory */
	"mlock", "mlock2", "munlock", "mlockall", "munlockall", "remap_file_pages",
	"pkey_mprotect", "pkey_alloc", "pkey_free", "mbind", "set_mempolicy", "get_mempolicy",
	/* System V and POSIX IPC, in the IPC namespace */
	"shmget", "shmat", "shmdt", "shmctl", "semget", "semop", "semctl", "semtimedop", "msgget",
	"msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive",
	"mq_notify", "mq_getsetattr",
	/* signals, timers */
	"signalfd", "signalfd4", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "timer_create",
	"timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete", "timerfd_create",
	"timerfd_settime", "timerfd_gettime",
	/* scheduling and limits: the kernel asks for privilege where it matters */
	"sched_setparam", "sched_getparam", "sched_setscheduler", "sched_getscheduler",
	"sched_get_priority_max", "sched_get_priority_min", "sched_rr_get_interval",
	"sched_setaffinity", "sched_setattr", "sched_getattr", "getpriority", "setpriority",
	"ioprio_get", "ioprio_set", "setrlimit",
	/* ids: without capabilities only to what one has already */
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid",
	"setfsgid", "setgroups", "capget", "capset",
	/* debuggers: bounded by the pid namespace and Landlock's domain */
	"ptrace", "process_vm_readv", "process_vm_writev",
	/* sandboxes of the payload's own */
	"seccomp",
	/* guarded: without namespace flags; without the flags that weaken a process */
	"unshare", "personality",
	/* old x86 thread set-up */
	"set_thread_area", "get_thread_area",
};

static const char *const default_new[] = {
	"epoll_pwait2", "pidfd_open", "pidfd_send_signal", "pidfd_getfd",
	"process_madvise", "process_mrelease", "memfd_secret", "landlock_create_ruleset",
	"landlock_add_rule", "landlock_restrict_self", "futex_waitv", "set_mempolicy_home_node",
	"cachestat", "fchmodat2", "map_shadow_stack", "futex_wake", "futex_wait",
	"futex_requeue", "lsm_get_self_attr", "lsm_list_modules", "mseal", "setxattrat",
	"getxattrat", "listxattrat", "removexattrat", "file_getattr", "file_setattr",
	"rseq_slice_yield",
};

/* Nothing here escapes, but little that is honest uses it. */
static const char *const permissive[] = {
	"kcmp", "fanotify_init", "fanotify_mark", "move_pages", "migrate_pages", "modify_ldt",
	"ustat", "sysfs",
};

static const char *const permissive_new[] = {
	"statmount", "listmount",
	/* not new: fs.aio-max-nr is one number for all of the host, and databases fall back */
	"io_setup", "io_destroy", "io_getevents", "io_pgetevents", "io_submit", "io_cancel",
};

static const char *const nesting[] = {
	"mount", "umount2", "pivot_root", "chroot", "setns", "sethostname", "setdomainname",
};

static const char *const nesting_new[] = {
	"open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick",
	"mount_setattr",
};

static const char *const dangerous[] = {
	/* the kernel itself */
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
	"bpf", "perf_event_open", "userfaultfd", "iopl", "ioperm", "syslog",
	/* state that no namespace separates */
	"add_key", "request_key", "keyctl", "swapon", "swapoff", "acct", "quotactl",
	"quotactl_fd", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "vhangup",
	/* around the file checks */
	"open_by_handle_at", "lookup_dcookie", "lsm_set_self_attr",
};

static const char *const absent[] = {
	/* their flags are in memory, out of a filter's sight; callers fall back to clone, openat */
	"clone3", "openat2",
	/* its operations pass by seccomp */
	"io_uring_setup", "io_uring_enter", "io_uring_register",
	/* lists namespaces of others */
	"listns",
	/* the kernel has not had these for years */
	"uselib", "_sysctl", "create_module", "get_kernel_syms", "query_module", "nfsservctl",
	"getpmsg", "putpmsg", "afs_syscall", "tuxcall", "security", "epoll_ctl_old",
	"epoll_wait_old", "vserver",
};

/* clang-format on */

#define GROUP(title, level, refusal, names)                     \
	{                                                       \
		title, level, refusal, names, ARRAY_SIZE(names) \
	}

const struct syscall_group syscall_groups[] = {
	GROUP("needed", SL_NEEDED, EPERM, needed),
	GROUP("strict", SL_STRICT, EPERM, strict),
	GROUP("strict, new", SL_STRICT, ENOSYS, strict_new),
	GROUP("default", SL_DEFAULT, EPERM, default_),
	GROUP("default, new", SL_DEFAULT, ENOSYS, default_new),
	GROUP("permissive", SL_PERMISSIVE, EPERM, permissive),
	GROUP("permissive, new", SL_PERMISSIVE, ENOSYS, permissive_new),
	GROUP("nesting", SL_NESTING, EPERM, nesting),
	GROUP("nesting, new", SL_NESTING, EPERM, nesting_new),
	GROUP("dangerous", SL_NEVER, EPERM, dangerous),
	GROUP("absent", SL_NEVER, ENOSYS, absent),
};
const size_t syscall_groups_count = ARRAY_SIZE(syscall_groups);

/*
 * Where the kernel looks at 32 bits of an argument (int, unsigned int), so do
 * we, by a mask: comparing 64 lets 1<<32 | VALUE pass (CVE-2019-10063).
 */
/* clang-format off */
#define LOW 0xffffffffu
#define IS(n, v) { .arg = (n), .op = OP_MASKED_EQ, .value = (v), .mask = LOW }
#define HAS(n, bits) { .arg = (n), .op = OP_MASKED_NEQ, .value = 0, .mask = (bits) }
#define BITS(n, m, v) { .arg = (n), .op = OP_MASKED_EQ, .value = (v), .mask = (m) }

enum {
	NS_FLAGS = 0x7e020000,	/* CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET} */
	NS_TIME = 0x80,		/* CLONE_NEWTIME: in clone() a part of the exit signal */
	UNIX = 1, NETLINK = 16, /* AF_*; AF_INET is 2 and AF_INET6 10: 8 is the difference */
	INETS = 2, INETS_MASK = (int)~8u,
	STREAM = 1, DGRAM = 2, SOCK_TYPE = 0xf,
	NEW_LISTENER = 8,	/* SECCOMP_FILTER_FLAG_NEW_LISTENER */
	STI = 0x5412, LINUX = 0x541c, SETD = 0x5423, /* TIOC* */
	DEVICE_MASK = 0xb000, DEVICE = 0x2000, /* S_IFCHR and S_IFBLK, of S_IFMT */
	SETUID = 04000, SETGID = 02000,
	CREATE = 0x400040, /* O_CREAT and __O_TMPFILE: with one of them open looks at the mode */
	LINUX32 = 8, UNAME26 = 0x20000, NO_RANDOMIZE = 0x40000,
};

const struct syscall_guard syscall_guards[] = {
	{ "clone", GW_NOT_NESTING, EPERM, 1, { HAS(0, NS_FLAGS) } },
	{ "clone3", GW_NOT_NESTING, ENOSYS, 0, {} },
	{ "unshare", GW_NOT_NESTING, EPERM, 1, { HAS(0, NS_FLAGS | NS_TIME) } },

	/* What has no family here answers as a kernel without it. Raw sockets: EPERM. */
	{ "socket", GW_ALWAYS, 0, 1, { IS(0, UNIX) } },
	{ "socket", GW_LOOPBACK, 0, 2, { IS(0, NETLINK), IS(2, 0) } }, /* NETLINK_ROUTE */
	{ "socket", GW_LOOPBACK, 0, 2,
	  { BITS(0, (uint32_t)INETS_MASK, INETS), BITS(1, SOCK_TYPE, STREAM) } },
	{ "socket", GW_LOOPBACK, 0, 2,
	  { BITS(0, (uint32_t)INETS_MASK, INETS), BITS(1, SOCK_TYPE, DGRAM) } },
	{ "socket", GW_LOOPBACK, EPERM, 1, { BITS(0, (uint32_t)INETS_MASK, INETS) } },
	{ "socket", GW_ALWAYS, EAFNOSUPPORT, 0, {} },
	{ "socketpair", GW_ALWAYS, 0, 1, { IS(0, UNIX) } },
	{ "socketpair", GW_ALWAYS, EAFNOSUPPORT, 0, {} },

	{ "ioctl", GW_ALWAYS, EPERM, 1, { IS(1, STI) } },
	{ "ioctl", GW_ALWAYS, EPERM, 1, { IS(1, LINUX) } },
	/* Loads a line discipline's module. */
	{ "ioctl", GW_ALWAYS, EPERM, 1, { IS(1, SETD) } },

	/* A listener of the payload's would answer before ours. */
	{ "seccomp", GW_ALWAYS, EPERM, 1, { HAS(1, NEW_LISTENER) } },

	{ "mknod", GW_ALWAYS, EPERM, 1, { BITS(1, DEVICE_MASK, DEVICE) } },
	{ "mknodat", GW_ALWAYS, EPERM, 1, { BITS(2, DEVICE_MASK, DEVICE) } },

	/*
	 * A set-user-ID file in a writable path is one on the host, for every user
	 * there: nosuid binds our mounts only. The set-group-ID bit of a directory
	 * is everyday (git, tar and cp set it again), and chmod cannot tell the two
	 * apart, so it is refused there only by the small baselines and in what root
	 * starts, whose files outside may be root's. mkdir drops both.
	 */
	{ "chmod", GW_ALWAYS, EPERM, 1, { HAS(1, SETUID) } },
	{ "chmod", GW_SMALL, EPERM, 1, { HAS(1, SETGID) } },
	{ "fchmod", GW_ALWAYS, EPERM, 1, { HAS(1, SETUID) } },
	{ "fchmod", GW_SMALL, EPERM, 1, { HAS(1, SETGID) } },
	{ "fchmodat", GW_ALWAYS, EPERM, 1, { HAS(2, SETUID) } },
	{ "fchmodat", GW_SMALL, EPERM, 1, { HAS(2, SETGID) } },
	{ "fchmodat2", GW_ALWAYS, EPERM, 1, { HAS(2, SETUID) } },
	{ "fchmodat2", GW_SMALL, EPERM, 1, { HAS(2, SETGID) } },
	{ "creat", GW_ALWAYS, EPERM, 1, { HAS(1, SETUID | SETGID) } },
	{ "mknod", GW_ALWAYS, EPERM, 1, { HAS(1, SETUID | SETGID) } },
	{ "mknodat", GW_ALWAYS, EPERM, 1, { HAS(2, SETUID | SETGID) } },
	{ "open", GW_ALWAYS, EPERM, 2, { HAS(1, CREATE), HAS(2, SETUID | SETGID) } },
	{ "openat", GW_ALWAYS, EPERM, 2, { HAS(2, CREATE), HAS(3, SETUID | SETGID) } },
	{ "openat2", GW_ALWAYS, ENOSYS, 0, {} },

	/* PID 1 and what else has our uid outside of Landlock's sight: new limits can end it. */
	{ "prlimit64", GW_NOT_NESTING, EPERM, 2,
	  { HAS(0, LOW), { .arg = 2, .op = OP_NEQ, .value = 0 } } },

	/* PER_LINUX or PER_LINUX32, UNAME26; ADDR_NO_RANDOMIZE for gdb; -1 asks. */
	{ "personality", GW_ALWAYS, 0, 1, { BITS(0, LOW & ~(LINUX32 | UNAME26), 0) } },
	{ "personality", GW_ALWAYS, 0, 1, { IS(0, NO_RANDOMIZE) } },
	{ "personality", GW_ALWAYS, 0, 1, { IS(0, LOW) } },
	{ "personality", GW_ALWAYS, EPERM, 0, {} },
};
/* clang-format on */

const size_t syscall_guards_count = ARRAY_SIZE(syscall_guards);
