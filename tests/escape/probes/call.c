/* SPDX-License-Identifier: Apache-2.0 */
/* call NAME: one system call that a payload has no business with. */
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>

#include "probe.h"

static long io_uring(void)
{
	char params[120] = { 0 };

	return syscall(425, 4, params);
}

static long keyctl_session(void)
{
	return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1);
}

static long add_key(void)
{
	return syscall(SYS_add_key, "user", "purple-probe", "x", 1, KEY_SPEC_PROCESS_KEYRING);
}

static long bpf(void)
{
	uint32_t attr[32] = { 2 /* BPF_MAP_TYPE_ARRAY */, 4, 4, 1 };

	return syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, attr, sizeof(attr));
}

static long userfaultfd(void)
{
	return syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */ | O_CLOEXEC);
}

/* A software event of our own: what an ordinary user may count. */
static long perf(void)
{
	uint32_t attr[32] = { 1 /* PERF_TYPE_SOFTWARE */, 112 };

	attr[10] = 1 << 5 | 1 << 6; /* exclude_kernel, exclude_hv */
	return syscall(SYS_perf_event_open, attr, 0, -1, -1, 0);
}

static long clone3(void)
{
	uint64_t args[8] = { [4] = SIGCHLD };
	long pid = syscall(SYS_clone3, args, sizeof(args));

	if (pid == 0)
		_exit(0);
	return pid;
}

static long unshare_user(void)
{
	return unshare(CLONE_NEWUSER);
}

static long clone_user(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid;
}

static long personality(void)
{
	return syscall(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */);
}

/* CVE: a filter of the payload's own with a listener would answer first. */
static long listener(void)
{
	static struct {
		uint16_t code;
		uint8_t jt, jf;
		uint32_t k;
	} insn = { 6 /* BPF_RET */, 0, 0, 0x7fff0000 };
	struct {
		uint16_t len;
		void *filter;
	} prog = { 1, &insn };

	return syscall(SYS_seccomp, 1 /* SET_MODE_FILTER */, 8 /* NEW_LISTENER */, &prog);
}

static long vsock(void)
{
	return socket(40 /* AF_VSOCK */, SOCK_STREAM, 0);
}

static long alg(void)
{
	return socket(38 /* AF_ALG */, SOCK_SEQPACKET, 0);
}

static long packet(void)
{
	return socket(17 /* AF_PACKET */, SOCK_RAW, 0);
}

static long raw(void)
{
	return socket(AF_INET, SOCK_RAW, 1 /* ICMP */);
}

static long uevents(void)
{
	return socket(16 /* AF_NETLINK */, SOCK_RAW, 15 /* KOBJECT_UEVENT */);
}

static long fs_open(void)
{
	return syscall(SYS_fsopen, "tmpfs", 0);
}

static long fs_pick(void)
{
	return syscall(SYS_fspick, AT_FDCWD, "/", 0);
}

static long open_tree(void)
{
	return syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */);
}

static long move_mount(void)
{
	return syscall(SYS_move_mount, AT_FDCWD, "/tmp", AT_FDCWD, "/var/tmp", 0);
}

static long mount_setattr(void)
{
	uint64_t attr[4] = { 0, 1 /* clear MOUNT_ATTR_RDONLY */ };

	return syscall(SYS_mount_setattr, AT_FDCWD, "/usr", 0, attr, sizeof(attr));
}

static long mount_remount(void)
{
	return syscall(SYS_mount, "none", "/usr", 0, 0x1020L /* REMOUNT | BIND */, 0);
}

/* CVE-2022-0492: a v1 hierarchy of one's own has a release_agent. */
static long mount_cgroup(void)
{
	return syscall(SYS_mount, "cgroup", "/tmp", "cgroup", 0L, "memory");
}

static long mount_proc(void)
{
	return syscall(SYS_mount, "proc", "/tmp", "proc", 0L, 0);
}

static long umount_proc(void)
{
	return syscall(SYS_umount2, "/proc", 2 /* MNT_DETACH */);
}

static long pivot(void)
{
	return syscall(SYS_pivot_root, "/tmp", "/tmp");
}

static long set_root(void)
{
	return syscall(SYS_chroot, "/tmp");
}

static long by_handle(void)
{
	struct {
		uint32_t size;
		int32_t type;
		uint8_t data[8];
	} handle = { 8, 1, { 2 } }; /* the root inode of an ext4 */
	int fd = open("/usr", O_RDONLY | O_DIRECTORY);

	return syscall(SYS_open_by_handle_at, fd, &handle, O_RDONLY);
}

static long join_ns(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY);

	return fd < 0 ? -1 : setns(fd, 0);
}

static long device_node(void)
{
	return syscall(SYS_mknodat, AT_FDCWD, "/tmp/kmem", 020600 /* S_IFCHR */, 1L << 8 | 2);
}

static long block_node(void)
{
	return syscall(SYS_mknodat, AT_FDCWD, "/tmp/disk", 060600 /* S_IFBLK */, 8L << 8);
}

static long host_time(void)
{
	int64_t now[2] = { -1, 0 }; /* no time: EINVAL, before the capability is asked for */

	return syscall(SYS_clock_settime, 0 /* REALTIME */, now);
}

static long modify_ldt(void)
{
#ifdef SYS_modify_ldt
	char ldt[16];

	return syscall(SYS_modify_ldt, 0, ldt, sizeof(ldt));
#else
	errno = ENOSYS;
	return -1;
#endif
}

static long kcmp(void)
{
	return syscall(SYS_kcmp, getpid(), getpid(), 1 /* KCMP_VM */, 0L, 0L);
}

static long fanotify(void)
{
	return syscall(SYS_fanotify_init, 0x200 /* REPORT_FID */, O_RDONLY);
}

static long kernel_log(void)
{
	return syscall(SYS_syslog, 10 /* SIZE_BUFFER */, 0, 0);
}

static long module(void)
{
	return syscall(SYS_init_module, "", 0L, "");
}

static long kexec(void)
{
	return syscall(SYS_kexec_load, 0L, 0L, 0L, 0L);
}

static long set_groups(void)
{
	return syscall(SYS_setgroups, 0, 0);
}

/* clang-format off */
#define CALL(name) { #name, name }
/* clang-format on */
static const struct {
	const char *name;
	long (*call)(void);
} calls[] = {
	CALL(io_uring),	     CALL(keyctl_session), CALL(add_key),      CALL(bpf),
	CALL(userfaultfd),   CALL(perf),	   CALL(clone3),       CALL(unshare_user),
	CALL(clone_user),    CALL(personality),	   CALL(listener),     CALL(vsock),
	CALL(alg),	     CALL(packet),	   CALL(raw),	       CALL(uevents),
	CALL(fs_open),	     CALL(fs_pick),	   CALL(open_tree),    CALL(move_mount),
	CALL(mount_setattr), CALL(mount_remount),  CALL(mount_cgroup), CALL(mount_proc),
	CALL(umount_proc),   CALL(pivot),	   CALL(set_root),     CALL(by_handle),
	CALL(join_ns),	     CALL(device_node),	   CALL(block_node),   CALL(host_time),
	CALL(modify_ldt),    CALL(kcmp),	   CALL(fanotify),     CALL(kernel_log),
	CALL(module),	     CALL(kexec),	   CALL(set_groups),
};

/* call NAME [ERRNO]: with a number, only that refusal will do. */
int main(int argc, char **argv)
{
	for (size_t i = 0; argc >= 2 && i < sizeof(calls) / sizeof(*calls); i++) {
		long r;

		if (strcmp(calls[i].name, argv[1]) != 0)
			continue;
		errno = 0;
		r = calls[i].call();
		if (argc > 2 && r < 0 && errno != atoi(argv[2]))
			verdict(ESCAPED, "%s came through to the kernel, which said: %s", argv[1],
				strerror(errno));
		judge(r, argv[1]);
	}
	usage("call NAME [ERRNO]");
}
