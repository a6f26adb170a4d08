/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judgement of `purple doctor`: for each host that it knows, which check
 * fails, in which words, and with which remedy.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/str.h"
#include "cli/cmd_doctor.h"

/* A host where everything works, seen by an ordinary user. */
static struct doctor_facts healthy(void)
{
	struct doctor_facts f = { 0 };

	snprintf(f.probe.quick.release, sizeof(f.probe.quick.release), "6.18.0");
	snprintf(f.probe.quick.machine, sizeof(f.probe.quick.machine), "x86_64");
	snprintf(f.probe.lsm, sizeof(f.probe.lsm), "capability,landlock");
	snprintf(f.install.prefix, sizeof(f.install.prefix), "/usr");
	f.probe.quick.landlock_abi = 7;
	f.probe.idmapped_mount = EPERM;
	f.cgroups.kind = CG_V2;
	f.probe.max_user_namespaces = 15000;
	f.probe.unprivileged_userns_clone = -1;
	f.probe.apparmor_restrict_userns = -1;
	f.probe.yama_ptrace_scope = -1;
	f.probe.newuidmap = true;
	f.probe.proc_mounted = true;
	f.probe.uid = 1000;
	return f;
}

static void userns_fails(struct doctor_facts *f, int error)
{
	f->probe.userns = error;
	f->probe.userns_mount = error;
	f->probe.userns_proc = error;
	f->probe.overlay_userns = error;
	f->probe.time_ns = error;
	f->probe.cap_drop = error;
	for (size_t i = 0; i < ARRAY_SIZE(f->probe.namespaces); i++)
		f->probe.namespaces[i] = error;
}

static void no_nf_tables(struct doctor_facts *f)
{
	f->probe.network = EOPNOTSUPP;
}

static void root(struct doctor_facts *f)
{
	f->probe.root = true;
	f->probe.uid = 0;
	f->probe.idmapped_mount = 0;
}

static void as_is(struct doctor_facts *f)
{
}

static void no_user_namespaces(struct doctor_facts *f)
{
	userns_fails(f, ENOSPC);
	f->probe.max_user_namespaces = 0;
}

static void userns_used_up(struct doctor_facts *f)
{
	userns_fails(f, ENOSPC);
}

static void debian_clone_off(struct doctor_facts *f)
{
	userns_fails(f, EPERM);
	f->probe.unprivileged_userns_clone = 0;
}

static void ubuntu(struct doctor_facts *f)
{
	f->probe.apparmor_restrict_userns = 1;
	f->probe.userns = EACCES;
	f->probe.userns_mount = EACCES;
	f->probe.userns_proc = EACCES;
}

static void ubuntu_caps_only(struct doctor_facts *f)
{
	f->probe.apparmor_restrict_userns = 1;
	f->probe.userns_mount = EACCES;
	f->probe.userns_proc = EACCES;
}

static void ubuntu_as_root(struct doctor_facts *f)
{
	root(f);
	f->probe.apparmor_restrict_userns = 1;
}

static void docker(struct doctor_facts *f)
{
	userns_fails(f, EPERM);
	f->probe.clone3 = ENOSYS;
	f->probe.keyctl = EPERM;
	f->probe.mount_api = EPERM;
	f->probe.seccomp_outer = 2;
	f->probe.container = true;
}

static void masked_proc(struct doctor_facts *f)
{
	f->probe.userns_proc = EPERM;
	f->probe.proc_masked = true;
	f->probe.container = true;
}

static void docker_apparmor(struct doctor_facts *f)
{
	f->probe.userns_mount = EACCES;
	f->probe.container = true;
}

static void chrooted(struct doctor_facts *f)
{
	root(f);
	userns_fails(f, EPERM);
	f->probe.idmapped_mount = EPERM;
	f->probe.chrooted = true;
}

static void unknown_refusal(struct doctor_facts *f)
{
	userns_fails(f, EPERM);
}

static void no_proc(struct doctor_facts *f)
{
	f->probe.proc_mounted = false;
	userns_fails(f, ENOENT);
}

static void no_config_userns(struct doctor_facts *f)
{
	userns_fails(f, EINVAL);
}

static void kernel_5_10(struct doctor_facts *f)
{
	snprintf(f->probe.quick.release, sizeof(f->probe.quick.release), "5.10.0");
	f->probe.quick.landlock_abi = 0;
	f->probe.landlock = ENOSYS;
	f->probe.mount_api = ENOSYS;
	f->probe.userns_mount = ENOSYS;
}

static void kernel_5_4(struct doctor_facts *f)
{
	kernel_5_10(f);
	snprintf(f->probe.quick.release, sizeof(f->probe.quick.release), "5.4.0");
	f->probe.namespaces[7] = f->probe.time_ns = EINVAL;
	f->probe.clone3 = ENOSYS;
	f->probe.close_range = ENOSYS;
	f->probe.overlay_userns = EPERM;
}

static void landlock_not_booted(struct doctor_facts *f)
{
	f->probe.quick.landlock_abi = 0;
	f->probe.landlock = EOPNOTSUPP;
}

static void landlock_abi_3(struct doctor_facts *f)
{
	f->probe.quick.landlock_abi = 3;
}

static void no_seccomp(struct doctor_facts *f)
{
	f->probe.seccomp_filter = EINVAL;
	f->probe.seccomp_notify = EINVAL;
}

static void other_machine(struct doctor_facts *f)
{
	f->probe.seccomp_arch = ENOSYS;
	snprintf(f->probe.quick.machine, sizeof(f->probe.quick.machine), "s390x");
}

static void few_net_namespaces(struct doctor_facts *f)
{
	f->probe.namespaces[3] = ENOSPC;
}

static void few_mount_namespaces(struct doctor_facts *f)
{
	f->probe.namespaces[2] = ENOSPC;
}

static void old_filesystem(struct doctor_facts *f)
{
	root(f);
	f->probe.idmapped_mount = EINVAL;
}

static void run_read_only(struct doctor_facts *f)
{
	root(f);
	f->id_lock = EROFS;
}

static void no_run(struct doctor_facts *f)
{
	root(f);
	f->id_lock = ENOENT;
}

static void run_is_a_file(struct doctor_facts *f)
{
	root(f);
	f->id_lock = ENOTDIR;
}

static void no_delegation(struct doctor_facts *f)
{
	f->cgroups.kind = CG_NONE;
	strcpy(f->cgroups.why, "no control group is delegated to this user");
}

static void delegated_in_part(struct doctor_facts *f)
{
	strcpy(f->cgroups.why, "cpuset, io: not delegated to this user");
}

static void by_scope(struct doctor_facts *f)
{
	f->cgroups.kind = CG_SCOPE;
}

static void by_scope_in_part(struct doctor_facts *f)
{
	f->cgroups.kind = CG_SCOPE;
	strcpy(f->cgroups.why, "cpuset, io: not delegated to this user");
}

static void no_swap_limit(struct doctor_facts *f)
{
	f->cgroups.no_swap_limit = true;
}

static void no_cgroups(struct doctor_facts *f)
{
	f->cgroups.kind = CG_NONE;
	strcpy(f->cgroups.why, "no control groups are mounted");
}

static void live_tiocsti(struct doctor_facts *f)
{
	f->probe.tiocsti_legacy = true;
}

static void no_newuidmap(struct doctor_facts *f)
{
	f->probe.newuidmap = false;
}

static void half_installed(struct doctor_facts *f)
{
	snprintf(f->install.absent, sizeof(f->install.absent), "libexec/purple/purple-init");
}

static void dynamic_launcher(struct doctor_facts *f)
{
	f->install.launcher_dynamic = true;
}

static void keyrings_absent(struct doctor_facts *f)
{
	f->probe.keyctl = ENOSYS;
}

static void stuck(struct doctor_facts *f)
{
	f->probe.pidfd = ETIMEDOUT;
}

/* clang-format off */
static const struct scenario {
	void (*make)(struct doctor_facts *f);
	bool ready;
	const char *id;		  /* the check that tells */
	enum doctor_state state;
	const char *why, *remedy; /* parts of its texts */
} scenarios[] = {
	{ as_is, true, "user", DOC_OK, "", "" },
	{ as_is, true, "landlock", DOC_OK, "ABI 7", "" },
	{ as_is, true, "idmapped-mounts", DOC_NOTE, "root", "" },
	{ root, true, "idmapped-mounts", DOC_OK, "", "" },
	{ no_user_namespaces, false, "user", DOC_MISSING, "user.max_user_namespaces is 0",
	  "sysctl -w user.max_user_namespaces=" },
	{ no_user_namespaces, false, "net", DOC_MISSING, "needs a user namespace", "\"user\"" },
	{ userns_used_up, false, "user", DOC_MISSING, "limit", "user.max_user_namespaces" },
	{ userns_used_up, false, "user", DOC_MISSING, "is 15000", "sysctl" },
	{ debian_clone_off, false, "user", DOC_MISSING, "kernel.unprivileged_userns_clone is 0",
	  "sysctl -w kernel.unprivileged_userns_clone=1" },
	{ ubuntu, false, "user", DOC_MISSING, "AppArmor", "apparmor_parser -r" },
	{ ubuntu, false, "user", DOC_MISSING, "AppArmor", "every program on this machine" },
	{ ubuntu, false, "user", DOC_MISSING, "AppArmor", "/usr/{bin/purple,libexec/purple/*}" },
	{ ubuntu_caps_only, false, "root-tmpfs", DOC_MISSING, "AppArmor",
	  "kernel.apparmor_restrict_unprivileged_userns=0" },
	{ ubuntu_as_root, true, "user", DOC_OK, "", "" },
	{ docker, false, "user", DOC_MISSING, "seccomp", "--security-opt seccomp=unconfined" },
	{ docker, false, "clone3", DOC_MISSING, "seccomp", "seccompProfile" },
	{ docker, false, "keyring", DOC_MISSING, "seccomp", "keyctl" },
	{ masked_proc, false, "proc", DOC_MISSING, "/proc are covered", "systempaths=unconfined" },
	{ masked_proc, false, "user", DOC_OK, "", "" },
	{ docker_apparmor, false, "root-tmpfs", DOC_MISSING, "container", "apparmor=unconfined" },
	{ chrooted, false, "user", DOC_MISSING, "chroot", "pivot_root" },
	{ chrooted, false, "idmapped-mounts", DOC_MISSING, "user namespace", "\"user\"" },
	{ unknown_refusal, false, "user", DOC_MISSING, "Operation not permitted", "dmesg" },
	{ no_proc, false, "user", DOC_MISSING, "/proc is not mounted", "mount -t proc" },
	{ no_config_userns, false, "user", DOC_MISSING, "6.18.0", "CONFIG_USER_NS" },
	{ kernel_5_10, false, "mount-api", DOC_MISSING, "mount_setattr", "5.12" },
	{ kernel_5_10, false, "landlock", DOC_MISSING, "5.10.0", "5.13" },
	{ kernel_5_4, false, "time", DOC_MISSING, "5.4.0", "5.6" },
	{ kernel_5_4, false, "clone3", DOC_MISSING, "clone3", "5.5" },
	{ kernel_5_4, false, "close-range", DOC_MISSING, "close_range", "5.9" },
	{ landlock_not_booted, false, "landlock", DOC_MISSING, "switched off", "lsm=" },
	{ landlock_abi_3, false, "landlock", DOC_DEGRADED,
	  "ABI 3, without TCP rules (6.7), ioctl on devices (6.10), scoped signals", "6.12" },
	{ no_seccomp, false, "seccomp", DOC_MISSING, "no seccomp", "CONFIG_SECCOMP_FILTER" },
	{ other_machine, false, "seccomp", DOC_MISSING, "s390x", "x86_64" },
	{ few_net_namespaces, false, "net", DOC_MISSING, "limit", "user.max_net_namespaces=" },
	{ few_mount_namespaces, false, "mount", DOC_MISSING, "limit", "user.max_mnt_namespaces=" },
	{ old_filesystem, false, "idmapped-mounts", DOC_MISSING, "file system", "ext4" },
	{ as_is, true, "id-ranges", DOC_NOTE, "not used", "" },
	{ root, true, "id-ranges", DOC_OK, "/run/purple/ids", "" },
	{ run_read_only, false, "id-ranges", DOC_MISSING, "/run is read-only", "mount -t tmpfs" },
	{ no_run, false, "id-ranges", DOC_MISSING, "no /run", "mkdir /run" },
	{ run_is_a_file, false, "id-ranges", DOC_MISSING, "Not a directory", "ordinary user" },
	{ no_nf_tables, true, "nf_tables", DOC_NOTE, "network.isolated", "modprobe" },
	{ no_delegation, true, "cgroup-limits", DOC_NOTE, "is delegated", "Delegate" },
	{ delegated_in_part, true, "cgroup-limits", DOC_NOTE, "version 2): cpuset, io", "Delegate" },
	{ by_scope, true, "cgroup-limits", DOC_OK, "by a systemd scope", "" },
	{ by_scope_in_part, true, "cgroup-limits", DOC_NOTE, "scope): cpuset, io",
	  "systemctl edit user@.service" },
	{ no_swap_limit, true, "cgroup-limits", DOC_NOTE, "swap", "swapaccount" },
	{ no_cgroups, true, "cgroup-limits", DOC_NOTE, "no control groups", "mount -t cgroup2" },
	{ live_tiocsti, true, "terminal", DOC_NOTE, "seccomp", "dev.tty.legacy_tiocsti=0" },
	{ no_newuidmap, true, "newuidmap", DOC_NOTE, "newuidmap", "uidmap" },
	{ half_installed, false, "files", DOC_MISSING, "purple-init", "make install" },
	{ dynamic_launcher, true, "launcher", DOC_DEGRADED, "dynamically", "musl" },
	{ keyrings_absent, true, "keyring", DOC_NOTE, "no keyrings", "" },
	{ stuck, false, "pidfd", DOC_MISSING, "pidfd", "" },
	{ as_is, true, "lsm", DOC_NOTE, "capability,landlock", "" },
};

/* clang-format on */

static const struct doctor_verdict *find(const struct doctor_verdict *v, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (streq(v[i].id, id))
			return &v[i];
	fail_msg("no check \"%s\"", id);
	return NULL;
}

static void test_scenarios(void **state)
{
	struct doctor_verdict v[DOCTOR_CHECKS_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		const struct scenario *s = &scenarios[i];
		struct doctor_facts f = healthy();
		const struct doctor_verdict *got;
		size_t n;

		s->make(&f);
		n = doctor_judge(&f, v);
		got = find(v, n, s->id);
		if (got->state != s->state || !strstr(got->why, s->why) ||
		    !strstr(got->remedy, s->remedy) || doctor_ready(v, n) != s->ready)
			fail_msg("scenario %zu, %s: state %d, ready %d, \"%s\", \"%s\"", i, s->id,
				 got->state, doctor_ready(v, n), got->why, got->remedy);
	}
}

/* Whatever is missing is explained and has a remedy; no placeholder is left, nothing is cut. */
static void test_texts(void **state)
{
	struct doctor_verdict v[DOCTOR_CHECKS_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		struct doctor_facts f = healthy();
		size_t n;

		scenarios[i].make(&f);
		n = doctor_judge(&f, v);
		for (size_t k = 0; k < n; k++) {
			assert_true(strlen(v[k].why) < sizeof(v[k].why) - 1);
			assert_true(strlen(v[k].remedy) < sizeof(v[k].remedy) - 1);
			assert_null(strstr(v[k].why, "{"));
			assert_null(strstr(v[k].remedy, "{prefix}"));
			if (v[k].state != DOC_MISSING)
				continue;
			assert_string_not_equal(v[k].why, "");
			assert_string_not_equal(v[k].remedy, "");
		}
	}
}

static void test_twelve_layers_first(void **state)
{
	static const char *const layers[] = {
		"user",	  "pid",  "mount",	  "net",	  "ipc",      "uts",
		"cgroup", "time", "capabilities", "no_new_privs", "landlock", "seccomp"
	};
	struct doctor_verdict v[DOCTOR_CHECKS_MAX];
	struct doctor_facts f = healthy();
	size_t n = doctor_judge(&f, v);

	assert_true(n >= ARRAY_SIZE(layers));
	for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
		assert_string_equal(v[i].id, layers[i]);
		assert_true(v[i].required);
	}
}

static void test_printing(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT(65536), json = BUF_INIT(65536);
	struct doctor_verdict v[DOCTOR_CHECKS_MAX];
	struct doctor_facts f = healthy();
	size_t n;

	no_user_namespaces(&f);
	n = doctor_judge(&f, v);
	doctor_text(&f, v, n, &text);
	doctor_json(v, n, &json);
	assert_false(text.failed || json.failed);
	assert_non_null(
		strstr(text.data, "user              missing: user.max_user_namespaces is 0"));
	assert_non_null(strstr(text.data, "> as root: sysctl"));
	assert_non_null(strstr(text.data, "Not ready: `purple run -p default` lacks user, pid"));
	assert_non_null(strstr(json.data, "\"id\": \"user\", \"layer\": \"user\", "
					  "\"state\": \"missing\""));
	assert_int_equal(json.data[0], '[');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scenarios),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_twelve_layers_first),
		cmocka_unit_test(test_printing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
