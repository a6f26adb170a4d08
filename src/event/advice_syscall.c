/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of a refused system call. Why it was refused the plan's filter of causes says, run on the
 * call's number and arguments; so what is said here is what was decided there.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "event/advice_internal.h"
#include "plan/call_names.h"
#include "plan/filter.h"
#include "plan/filter_run.h"
#include "plan/syscall.h"

#if defined(__aarch64__)
enum { ARCH = (int)AUDIT_ARCH_AARCH64 };
#else
enum { ARCH = (int)AUDIT_ARCH_X86_64 };
#endif

/*
 * What the kernel asks for besides, once the filter lets the call through: a capability of the
 * sandbox's user namespace, or one of the host's own, which nobody inside can have.
 */
enum { OF_HOST = -1 };
static const struct {
	const char *syscall;
	int cap;
} wants[] = {
	{ "mount", CAP_SYS_ADMIN },
	{ "umount2", CAP_SYS_ADMIN },
	{ "pivot_root", CAP_SYS_ADMIN },
	{ "setns", CAP_SYS_ADMIN },
	{ "sethostname", CAP_SYS_ADMIN },
	{ "setdomainname", CAP_SYS_ADMIN },
	{ "fsopen", CAP_SYS_ADMIN },
	{ "fsmount", CAP_SYS_ADMIN },
	{ "move_mount", CAP_SYS_ADMIN },
	{ "mount_setattr", CAP_SYS_ADMIN },
	{ "chroot", CAP_SYS_CHROOT },
	{ "reboot", CAP_SYS_BOOT },
	{ "init_module", OF_HOST },
	{ "finit_module", OF_HOST },
	{ "delete_module", OF_HOST },
	{ "kexec_load", OF_HOST },
	{ "kexec_file_load", OF_HOST },
	{ "swapon", OF_HOST },
	{ "swapoff", OF_HOST },
	{ "acct", OF_HOST },
	{ "settimeofday", OF_HOST },
	{ "clock_settime", OF_HOST },
	{ "iopl", OF_HOST },
	{ "ioperm", OF_HOST },
	{ "vhangup", OF_HOST },
	{ "quotactl", OF_HOST },
	{ "quotactl_fd", OF_HOST },
	{ "lookup_dcookie", OF_HOST },
	{ "open_by_handle_at", OF_HOST },
};

static const struct {
	int cap;
	const char *name;
} caps[] = {
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
	{ CAP_SYS_CHROOT, "CAP_SYS_CHROOT" },
	{ CAP_SYS_BOOT, "CAP_SYS_BOOT" },
	{ CAP_NET_RAW, "CAP_NET_RAW" },
};

/* True: the line that lets the call through is not enough, and @ret says so. */
static bool lacks_capability(const struct plan *p, int cap, const char *lift, struct advice *ret)
{
	if (cap == OF_HOST) {
		advice_why(ret, "the kernel asks for a capability on the host itself, which nobody "
				"inside can have");
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		if (cap == caps[i].cap && !(p->caps_effective >> cap & 1))
			advice_why(ret, "two lines: %s; capabilities.add: [%s]%s", lift,
				   caps[i].name,
				   cap == CAP_SYS_ADMIN ? "; or nesting: true, for a program that "
							  "makes namespaces of its own"
							: "");
	return ret->why[0] != '\0';
}

static void by_baseline(const struct plan *p, const char *name, struct advice *ret)
{
	char lift[128];

	snprintf(lift, sizeof(lift), "syscalls.allow: [%s]", name);
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++)
		if (streq(name, wants[i].syscall) && lacks_capability(p, wants[i].cap, lift, ret))
			return;
	advice_line(ret, "%s", lift);
}

/* syscalls.deny without @name. */
static void by_list(const struct plan *p, const char *name, struct advice *ret)
{
	const char *s = plan_string(p, p->audit.deny);
	char list[ADVICE_LINE] = "";
	size_t len = 0;

	while (s && *s != '\0') {
		size_t n = strcspn(s, ",");

		if ((n != strlen(name) || memcmp(s, name, n) != 0) && len + n + 2 < sizeof(list)) {
			memcpy(list + len, ", ", 2);
			memcpy(list + len + 2, s, n);
			len += n + 2;
		}
		s += n;
		s += strspn(s, ", ");
	}
	list[len] = '\0';
	advice_line(ret, "syscalls.deny: !replace [%s]", len ? list + 2 : "");
}

/* All rules but the one that refused; in their order, since the first that holds decides. */
static void by_rule(const struct plan *p, unsigned rule, struct advice *ret)
{
	const struct plan_str *rules = plan_items(p, audit.rules, struct plan_str);
	char list[ADVICE_LINE] = "";
	size_t len = 0;

	for (uint32_t i = 0; i < p->audit.rules.count && len < sizeof(list); i++)
		if (i != rule)
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
						len ? ", " : "", plan_string(p, rules[i]));
	if (len < sizeof(list) - 64)
		advice_line(ret, "syscalls.advanced_rules: !replace [%s]", list);
	else
		advice_why(ret, "take the rule out of syscalls.advanced_rules");
}

static const char *op_name(enum policy_op op)
{
	return op == OP_MASKED_EQ ? "masked_eq" : op == OP_MASKED_NEQ ? "masked_neq" : "neq";
}

/* What the guard refuses, allowed; of one that refuses what is left, this first argument. */
static void lift_guard(const struct syscall_guard *g, const uint64_t args[6], char *ret,
		       size_t size)
{
	static const char *const by_first[] = { "socket", "socketpair", "personality" };
	size_t len = (size_t)snprintf(
		ret, size, "syscalls.advanced_rules: [{syscall: %s, action: allow", g->syscall);

	for (unsigned i = 0; i < g->count && len < size; i++) {
		const struct policy_cond *c = &g->conds[i];

		len += (size_t)snprintf(ret + len, size - len, "%s{arg: %u, op: %s, value: %#llx",
					i ? ", " : ", conditions: [", c->arg, op_name(c->op),
					(unsigned long long)c->value);
		if (len < size && c->op != OP_NEQ)
			len += (size_t)snprintf(ret + len, size - len, ", mask: %#llx",
						(unsigned long long)c->mask);
		if (len < size)
			len += (size_t)snprintf(ret + len, size - len, "}");
	}
	for (size_t i = 0; i < ARRAY_SIZE(by_first) && g->count == 0 && len < size; i++)
		if (streq(g->syscall, by_first[i]))
			len += (size_t)snprintf(ret + len, size - len,
						", conditions: [{arg: 0, op: masked_eq, value: "
						"%#llx, mask: 0xffffffff}",
						(unsigned long long)(args[0] & 0xffffffff));
	if (len < size)
		snprintf(ret + len, size - len, "%s}]", strstr(ret, "conditions") ? "]" : "");
}

enum { INET = 2, NETLINK = 16, PACKET = 17, INET6 = 10 }; /* AF_* */

static void by_guard(const struct plan *p, const struct syscall_guard *g, const uint64_t args[6],
		     struct advice *ret)
{
	const uint32_t family = (uint32_t)args[0];
	char lift[ADVICE_LINE];

	lift_guard(g, args, lift, sizeof(lift));
	if (streq(g->syscall, "clone") || streq(g->syscall, "unshare"))
		advice_line(ret, "nesting: true");
	else if (streq(g->syscall, "socket") && g->error == EAFNOSUPPORT &&
		 (family == INET || family == INET6 || (family == NETLINK && args[2] == 0)))
		advice_line(ret, "network.loopback: true");
	else if (streq(g->syscall, "socket") &&
		 (family == INET || family == INET6 || family == PACKET) &&
		 lacks_capability(p, CAP_NET_RAW, lift, ret))
		return;
	else if (str_after(g->syscall, "mknod") && g->conds[0].op == OP_MASKED_EQ)
		lacks_capability(p, OF_HOST, lift, ret);
	else if (streq(g->syscall, "seccomp"))
		advice_why(ret, "a process can have one listener of a filter, and has Purple's");
	else
		advice_line(ret, "%s", lift);
}

static void decide(const struct plan *p, unsigned cause, const char *name, const uint64_t args[6],
		   struct advice *ret)
{
	const char *rule = "";

	if (cause == FC_DENY) {
		rule = "syscalls.deny";
		by_list(p, name, ret);
	} else if (cause == FC_BASELINE) {
		rule = "syscalls.baseline";
		by_baseline(p, name, ret);
	} else if (cause >= FC_RULE) {
		snprintf(ret->rule, sizeof(ret->rule), "syscalls.advanced_rules[%u]",
			 cause - FC_RULE);
		by_rule(p, cause - FC_RULE, ret);
		return;
	} else if (cause >= FC_GUARD && cause - FC_GUARD < syscall_guards_count) {
		rule = "guard of arguments";
		by_guard(p, &syscall_guards[cause - FC_GUARD], args, ret);
	}
	snprintf(ret->rule, sizeof(ret->rule), "%s", rule);
}

void advice_syscall(const struct plan *p, int nr, const uint64_t args[6], struct advice *ret)
{
	struct seccomp_data data = { .nr = nr, .arch = (uint32_t)ARCH };
	const char *name = call_name(nr);
	uint32_t answer;

	memset(ret, 0, sizeof(*ret));
	if (!name)
		advice_why(ret, "this Purple knows no call of that number, so no policy allows it");
	if (!p || p->audit.causes.count == 0 || !name)
		return;
	memcpy(data.args, args, sizeof(data.args));
	answer = filter_run(plan_items(p, audit.causes, struct sock_filter), p->audit.causes.count,
			    &data);
	if ((answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
		decide(p, answer & SECCOMP_RET_DATA, name, args, ret);
}

int advice_call_number(const char *name)
{
	for (int nr = 0; nr < SYSCALL_LIMIT; nr++)
		if (call_name(nr) && streq(call_name(nr), name))
			return nr;
	return -1;
}
