/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macros.h"
#include "sys/landlock.h"
#include "sys/process.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

int confine_id(const struct confine *c)
{
	if (c->id == CONFINE_KEEP_ID || (c->id == CONFINE_LEAVE_ROOT && geteuid() != 0))
		return 0;
	if (setgroups(0, NULL) == 0 &&
	    setresgid(CONFINE_NOBODY, CONFINE_NOBODY, CONFINE_NOBODY) == 0 &&
	    setresuid(CONFINE_NOBODY, CONFINE_NOBODY, CONFINE_NOBODY) == 0)
		return 0;
	if (c->id == CONFINE_LEAVE_ROOT && (errno == EINVAL || errno == EPERM))
		return 0;
	return -errno;
}

int confine_rights(const struct confine *c)
{
	const struct rlimit none = { 0, 0 };
	int r = setrlimit(RLIMIT_CORE, &none) < 0 ? -errno : sys_set_caps(0, 0, 0);

	if (r == 0)
		r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r == 0 && !c->dumpable)
		r = sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return r;
}

/* All that the kernel knows is handled, and refused but by these rules. */
static int add_rules(int ruleset, const struct confine *c, bool knows_ports)
{
	struct {
		uint64_t allowed_access, port;
	} to = { LL_CONNECT_TCP, c->connect_port }; /* struct landlock_net_port_attr */
	int r = 0;

	if (c->reads)
		r = sys_landlock_add_path(ruleset, c->directory, LL_READ_FILE | LL_READ_DIR);
	if (r == 0 && c->connect_port && knows_ports)
		r = (int)sys_call(SYS_landlock_add_rule, ruleset, 2 /* NET_PORT */, &to, 0);
	return r;
}

static bool may_go_without(const struct confine *c, int error)
{
	if (c->landlock == CONFINE_LANDLOCK)
		return error == -ENOSYS || error == -EOPNOTSUPP;
	return c->landlock == CONFINE_LANDLOCK_BEST_EFFORT;
}

int confine_files(const struct confine *c)
{
	int abi = sys_landlock_abi(), r;
	struct landlock_ruleset_attr_v6 attr;
	_cleanup_close_ int fd = -1;

	if (abi < 0)
		return may_go_without(c, abi) ? 0 : abi;
	landlock_known(abi, &attr);
	if (c->connects)
		attr.handled_access_net &= ~(uint64_t)LL_CONNECT_TCP;
	fd = sys_landlock_create(&attr);
	if (fd < 0)
		return fd;
	r = add_rules(fd, c, attr.handled_access_net & LL_CONNECT_TCP);
	return r < 0 ? r : sys_landlock_restrict(fd);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS_EQUAL_SKIP(k, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (skip))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))

#ifdef SANITIZED
static const int sanitizer_calls[] = {
	SYS_brk,	  SYS_close,	      SYS_dup,	       SYS_futex,    SYS_getpid,
	SYS_gettid,	  SYS_madvise,	      SYS_mmap,	       SYS_mprotect, SYS_munmap,
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_sigaltstack, SYS_write,
};
#else
static const int sanitizer_calls[0];
#endif

enum {
	SANITIZER_CALLS = sizeof(sanitizer_calls) / sizeof(int),
	HEAD = 4,
	TAIL = 2 + 2 * CONFINE_FAMILIES_MAX + 1,
	INSNS_MAX = HEAD + 2 * (CONFINE_CALLS_MAX + SANITIZER_CALLS) + TAIL,
};

static unsigned short allow(struct sock_filter *f, unsigned short n, const int *values,
			    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		f[n++] = (struct sock_filter)UNLESS_EQUAL_SKIP((unsigned)values[i], 1);
		f[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	}
	return n;
}

int confine_calls(const struct confine *c)
{
	struct sock_filter f[INSNS_MAX] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
	};
	unsigned short n = HEAD;
	uint32_t refuse = SECCOMP_RET_KILL_PROCESS;

	if (c->call_count > CONFINE_CALLS_MAX || c->family_count > CONFINE_FAMILIES_MAX)
		return -E2BIG;
	if (c->lenient || SANITIZER_CALLS)
		refuse = SECCOMP_RET_ERRNO | EPERM;
	n = allow(f, n, c->calls, c->call_count);
	n = allow(f, n, sanitizer_calls, SANITIZER_CALLS);
	/* Last: from here on a family is what is compared, and no number of a call. */
	if (c->family_count > 0) {
		f[n++] = (struct sock_filter)UNLESS_EQUAL_SKIP(SYS_socket,
							       (uint8_t)(1 + 2 * c->family_count));
		/* The low half, on machines that begin with it: it is an int. */
		f[n++] = (struct sock_filter)LOAD(args[0]);
		n = allow(f, n, c->families, c->family_count);
	}
	f[n++] = (struct sock_filter)RETURN(refuse);
	return sys_seccomp_load(f, n);
}

int confine_all(const struct confine *c, const char **ret_step)
{
	static const struct {
		int (*layer)(const struct confine *c);
		const char *step;
	} layers[] = {
		{ confine_id, "leave root's id" },
		{ confine_rights, "drop capabilities" },
		{ confine_files, "restrict by Landlock" },
		{ confine_calls, "load the seccomp filter" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
		int r = layers[i].layer(c);

		if (r < 0) {
			*ret_step = layers[i].step;
			return r;
		}
	}
	return 0;
}
