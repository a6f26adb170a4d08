/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judgement of `purple doctor`, as two tables.
 *
 * A check is something that is tried: an errno in struct doctor_facts (0: it
 * works). Its rules say, in order, what an outcome means: the first one whose
 * condition holds gives the state, the reason and the remedy. Without one, 0
 * is ok and an errno is missing.
 *
 * Texts may contain {error} {arg} {release} {abi} {lacks} {max} {machine}
 * {lsm} {prefix} {absent} {cgroups} {cgroup-kind}.
 *
 * Sources: user_namespaces(7), namespaces(7), mount_setattr(2), landlock(7),
 * kernel/user_namespace.c, fs/namespace.c (mount_too_revealing), Docker's and
 * Podman's seccomp documentation, Ubuntu's apparmor_restrict_unprivileged_userns.
 */
#include "cli/cmd_doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "base/str.h"

typedef bool (*condition)(const struct doctor_facts *f, int error);

struct rule {
	condition when;
	enum doctor_state state;
	const char *why, *remedy;
};

struct check {
	const char *id, *layer;
	bool required;
	size_t error;	 /* of an int in struct doctor_facts; NO_ERROR: 0 */
	const char *ok;	 /* text of an outcome that no rule takes; may be NULL */
	const char *arg; /* {arg} */
	const struct rule *rules;
};

#define NO_ERROR SIZE_MAX
#define AT(field) offsetof(struct doctor_facts, probe.field)
#define NS(i) (AT(namespaces) + (i) * sizeof(int))

/* ---- conditions ---- */

static bool failed(const struct doctor_facts *f, int error)
{
	return error != 0;
}

static bool no_types(const struct doctor_facts *f, int error)
{
	return error == ENODATA;
}

static bool always(const struct doctor_facts *f, int error)
{
	return true;
}

static bool refused(const struct doctor_facts *f, int error)
{
	return error == EPERM || error == EACCES;
}

static bool absent(const struct doctor_facts *f, int error)
{
	return error == ENOSYS || error == EINVAL;
}

static bool no_userns(const struct doctor_facts *f, int error)
{
	return error != 0 && f->probe.userns != 0;
}

static bool no_proc(const struct doctor_facts *f, int error)
{
	return error != 0 && !f->probe.proc_mounted;
}

static bool userns_zero(const struct doctor_facts *f, int error)
{
	return error != 0 && f->probe.max_user_namespaces == 0;
}

static bool at_limit(const struct doctor_facts *f, int error)
{
	return error == ENOSPC || error == EUSERS;
}

static bool debian_sysctl(const struct doctor_facts *f, int error)
{
	return error != 0 && !f->probe.root && f->probe.unprivileged_userns_clone == 0;
}

static bool in_chroot(const struct doctor_facts *f, int error)
{
	return error == EPERM && f->probe.chrooted;
}

static bool ubuntu_sysctl(const struct doctor_facts *f, int error)
{
	return refused(f, error) && !f->probe.root && f->probe.apparmor_restrict_userns == 1;
}

static bool outer_filter(const struct doctor_facts *f, int error)
{
	return (error == EPERM || error == ENOSYS) && f->probe.seccomp_outer == 2;
}

static bool refused_in_container(const struct doctor_facts *f, int error)
{
	return refused(f, error) && f->probe.container;
}

static bool proc_covered(const struct doctor_facts *f, int error)
{
	return error == EPERM && f->probe.proc_masked;
}

static bool landlock_off(const struct doctor_facts *f, int error)
{
	return error == EOPNOTSUPP;
}

static bool landlock_old(const struct doctor_facts *f, int error)
{
	return error == 0 && f->probe.quick.landlock_abi < 6;
}

static bool unknown_machine(const struct doctor_facts *f, int error)
{
	return f->probe.seccomp_arch != 0;
}

static bool not_root(const struct doctor_facts *f, int error)
{
	return !f->probe.root;
}

static bool read_only(const struct doctor_facts *f, int error)
{
	return error == EROFS;
}

static bool absent_file(const struct doctor_facts *f, int error)
{
	return error == ENOENT;
}

static bool no_cgroups(const struct doctor_facts *f, int error)
{
	return f->cgroups.kind == CG_NONE && streq(f->cgroups.why, "no control groups are mounted");
}

static bool cgroups_for_root(const struct doctor_facts *f, int error)
{
	return f->cgroups.why[0] != '\0' && f->probe.uid == 0;
}

static bool not_delegated(const struct doctor_facts *f, int error)
{
	return f->cgroups.kind == CG_NONE;
}

static bool scope_in_part(const struct doctor_facts *f, int error)
{
	return f->cgroups.kind == CG_SCOPE && f->cgroups.why[0] != '\0';
}

static bool delegated_in_part(const struct doctor_facts *f, int error)
{
	return f->cgroups.why[0] != '\0';
}

static bool no_swap_limit(const struct doctor_facts *f, int error)
{
	return f->cgroups.no_swap_limit;
}

static bool tiocsti(const struct doctor_facts *f, int error)
{
	return f->probe.tiocsti_legacy;
}

static bool lsm_known(const struct doctor_facts *f, int error)
{
	return f->probe.lsm[0] != '\0';
}

static bool no_newuidmap(const struct doctor_facts *f, int error)
{
	return !f->probe.root && !f->probe.newuidmap;
}

static bool files_absent(const struct doctor_facts *f, int error)
{
	return f->install.absent[0] != '\0';
}

static bool no_launcher(const struct doctor_facts *f, int error)
{
	return strstr(f->install.absent, "bin/purple") != NULL;
}

static bool launcher_dynamic(const struct doctor_facts *f, int error)
{
	return f->install.launcher_dynamic;
}

/* ---- remedies that several rules give ---- */

/* clang-format off */

#define REMEDY_SECCOMP                                                                       \
	"a seccomp filter around this process refuses it; that is how containers start.\n"   \
	"Docker, Podman: run the container with --security-opt seccomp=unconfined\n"         \
	"Kubernetes: securityContext: {seccompProfile: {type: Unconfined}}\n"                \
	"The trade-off: the container itself is then no longer filtered; a filter that\n"    \
	"allows clone, clone3, unshare, mount, fsopen, fsmount, open_tree, move_mount,\n"    \
	"mount_setattr, pivot_root, keyctl and landlock_* is the narrower choice."

#define REMEDY_UBUNTU                                                                        \
	"allow this program alone (as root):\n"                                              \
	"  echo 'abi <abi/4.0>, profile purple {prefix}/{bin/purple,libexec/purple/*} "      \
	"flags=(unconfined) { userns, }' > /etc/apparmor.d/purple && "                       \
	"apparmor_parser -r /etc/apparmor.d/purple\n"                                        \
	"or, for every program on this machine (more kernel within reach of all of them):\n" \
	"  sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"

#define REMEDY_PROC                                                                        \
	"Docker: run the container with --security-opt systempaths=unconfined\n"           \
	"Podman: --security-opt unmask=ALL\n"                                              \
	"Kubernetes: securityContext: {procMount: Unmasked} with hostUsers: false\n"       \
	"The trade-off: the container then sees the parts of /proc that were hidden.\n"    \
	"Without a container: unmount what lies over /proc (findmnt -R /proc)"

#define REMEDY_CHROOT                                                                      \
	"enter the directory with pivot_root instead, in a mount namespace of its own\n"   \
	"(as root, from outside; DIR is the root directory that you chroot to):\n"         \
	"  unshare -m sh -c 'mount --rbind DIR DIR && cd DIR && "                          \
	"{ [ -e proc/self ] || mount -t proc proc proc; } && "                             \
	"pivot_root . mnt && cd / && umount -l /mnt && exec purple doctor'\n"              \
	"systemd-nspawn -D DIR does so too"

#define RULE_USERNS \
	{ no_userns, DOC_MISSING, "it needs a user namespace, which cannot be had here", \
	  "see the line \"user\"" }

/* ---- rules ---- */

static const struct rule userns_rules[] = {
	{ no_proc, DOC_MISSING, "/proc is not mounted, so id maps cannot be written",
	  "as root: mount -t proc proc /proc" },
	{ userns_zero, DOC_MISSING, "user.max_user_namespaces is 0",
	  "as root: sysctl -w user.max_user_namespaces=15000\n"
	  "to keep it: echo user.max_user_namespaces=15000 > /etc/sysctl.d/60-purple.conf" },
	{ at_limit, DOC_MISSING,
	  "the limit of user namespaces is reached ({error}); user.max_user_namespaces is {max} "
	  "here, an outer namespace may allow less",
	  "as root, out there: sysctl -w user.max_user_namespaces=15000" },
	{ debian_sysctl, DOC_MISSING, "kernel.unprivileged_userns_clone is 0",
	  "as root: sysctl -w kernel.unprivileged_userns_clone=1\n"
	  "to keep it: echo kernel.unprivileged_userns_clone=1 > /etc/sysctl.d/60-purple.conf" },
	{ in_chroot, DOC_MISSING, "in a chroot, where the kernel refuses user namespaces",
	  REMEDY_CHROOT },
	{ ubuntu_sysctl, DOC_MISSING,
	  "AppArmor restricts them (kernel.apparmor_restrict_unprivileged_userns is 1)",
	  REMEDY_UBUNTU },
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ absent, DOC_MISSING, "the kernel ({release}) has no user namespaces",
	  "a kernel with CONFIG_USER_NS=y" },
	{ refused, DOC_MISSING, "{error}: a chroot, a security module or ids without a mapping",
	  "look for a denial in the kernel log (dmesg, journalctl -k); if / is a chroot:\n"
	  REMEDY_CHROOT },
	{ 0 },
};

static const struct rule namespace_rules[] = {
	RULE_USERNS,
	{ at_limit, DOC_MISSING, "the limit of these namespaces is reached ({error})",
	  "as root: sysctl -w user.max_{arg}_namespaces=15000" },
	{ ubuntu_sysctl, DOC_MISSING,
	  "AppArmor restricts it (kernel.apparmor_restrict_unprivileged_userns is 1)",
	  REMEDY_UBUNTU },
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ absent, DOC_MISSING, "the kernel ({release}) was built without it",
	  "a kernel with {arg} namespaces (CONFIG_NAMESPACES and what it offers)" },
	{ 0 },
};

static const struct rule time_rules[] = {
	RULE_USERNS,
	{ at_limit, DOC_MISSING, "the limit of these namespaces is reached ({error})",
	  "as root: sysctl -w user.max_time_namespaces=15000" },
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ absent, DOC_MISSING, "the kernel ({release}) has no time namespaces",
	  "Linux 5.6 or newer, with CONFIG_TIME_NS=y" },
	{ 0 },
};

static const struct rule capability_rules[] = {
	RULE_USERNS,
	{ ubuntu_sysctl, DOC_MISSING,
	  "AppArmor restricts it (kernel.apparmor_restrict_unprivileged_userns is 1)",
	  REMEDY_UBUNTU },
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ 0 },
};

static const struct rule nnp_rules[] = {
	{ absent, DOC_MISSING, "the kernel ({release}) does not know no_new_privs",
	  "Linux 3.5 or newer" },
	{ 0 },
};

static const struct rule landlock_rules[] = {
	{ landlock_off, DOC_MISSING, "built into the kernel, but switched off at boot",
	  "add landlock to lsm= on the kernel command line (lsm=landlock,… with what\n"
	  "/sys/kernel/security/lsm lists now) and reboot" },
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter or not in the kernel",
	  REMEDY_SECCOMP },
	{ failed, DOC_MISSING, "the kernel ({release}) has no Landlock",
	  "Linux 5.13 or newer, with CONFIG_SECURITY_LANDLOCK=y and landlock in lsm=" },
	{ landlock_old, DOC_DEGRADED, "ABI {abi}, without {lacks}",
	  "Linux 6.12 or newer; or `purple run --best-effort`, which does without and says so" },
	{ 0 },
};

static const struct rule seccomp_rules[] = {
	{ unknown_machine, DOC_MISSING, "Purple has no system call table for {machine}",
	  "x86_64 or aarch64" },
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ failed, DOC_MISSING, "{error}: the kernel ({release}) has no seccomp filters",
	  "a kernel with CONFIG_SECCOMP_FILTER=y" },
	{ 0 },
};

static const struct rule mount_api_rules[] = {
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ failed, DOC_MISSING,
	  "the kernel ({release}) lacks one of fsopen, open_tree, move_mount, mount_setattr",
	  "Linux 5.12 or newer" },
	{ 0 },
};

static const struct rule tmpfs_rules[] = {
	RULE_USERNS,
	{ ubuntu_sysctl, DOC_MISSING,
	  "AppArmor restricts it (kernel.apparmor_restrict_unprivileged_userns is 1)",
	  REMEDY_UBUNTU },
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ refused_in_container, DOC_MISSING, "{error}, in a container",
	  "Docker, Podman: run the container with --security-opt apparmor=unconfined\n"
	  "(their AppArmor profile refuses mount); on SELinux: --security-opt label=disable" },
	{ refused, DOC_MISSING, "{error}: a security module refuses mount",
	  "look for a denial in the kernel log (dmesg, journalctl -k)" },
	{ 0 },
};

static const struct rule proc_rules[] = {
	RULE_USERNS,
	{ ubuntu_sysctl, DOC_MISSING,
	  "AppArmor restricts it (kernel.apparmor_restrict_unprivileged_userns is 1)",
	  REMEDY_UBUNTU },
	{ proc_covered, DOC_MISSING,
	  "parts of /proc are covered by other mounts, and then the kernel refuses a new one",
	  REMEDY_PROC },
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ refused, DOC_MISSING, "{error}: /proc is not fully visible here", REMEDY_PROC },
	{ 0 },
};

static const struct rule clone3_rules[] = {
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ failed, DOC_MISSING, "the kernel ({release}) has no clone3", "Linux 5.5 or newer" },
	{ 0 },
};

static const struct rule close_range_rules[] = {
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ failed, DOC_MISSING, "the kernel ({release}) has no close_range", "Linux 5.9 or newer" },
	{ 0 },
};

static const struct rule pidfd_rules[] = {
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ failed, DOC_MISSING, "the kernel ({release}) has no pidfd_open", "Linux 5.3 or newer" },
	{ 0 },
};

static const struct rule keyring_rules[] = {
	{ outer_filter, DOC_MISSING, "{error}, under a seccomp filter", REMEDY_SECCOMP },
	{ absent, DOC_NOTE, "the kernel ({release}) has no keyrings, so there are none to hide", "" },
	{ 0 },
};

static const struct rule idmap_rules[] = {
	{ not_root, DOC_NOTE, "not used: it is for sandboxes that root starts", "" },
	{ no_userns, DOC_MISSING, "it needs a user namespace, which cannot be had here",
	  "see the line \"user\"" },
	{ absent, DOC_MISSING, "the file system of this directory does not support idmapped mounts",
	  "keep the workspace on ext4, xfs, btrfs or tmpfs; or run Purple as an ordinary user" },
	{ 0 },
};

static const struct rule id_lock_rules[] = {
	{ not_root, DOC_NOTE, "not used: it is for sandboxes that root starts", "" },
	{ read_only, DOC_MISSING, "/run is read-only, and sandboxes of root reserve their ids there",
	  "mount -t tmpfs -o mode=755 tmpfs /run   (Docker, Podman: --tmpfs /run)\n"
	  "or run Purple as an ordinary user, who needs no such file" },
	{ absent_file, DOC_MISSING, "there is no /run, where sandboxes of root reserve their ids",
	  "mkdir /run" },
	{ failed, DOC_MISSING, "{error}: sandboxes of root reserve their ids there",
	  "/run and /run/purple: directories that root may write; /run/purple/ids: made when "
	  "needed\nor run Purple as an ordinary user, who needs no such file" },
	{ 0 },
};

static const struct rule overlay_rules[] = {
	{ no_userns, DOC_NOTE, "it needs a user namespace, which cannot be had here",
	  "see the line \"user\"" },
	{ failed, DOC_NOTE, "{error}; nothing in the default profile needs it",
	  "Linux 5.11 or newer, with CONFIG_OVERLAY_FS" },
	{ 0 },
};

static const struct rule notify_rules[] = {
	{ failed, DOC_NOTE, "{error}; nothing in the default profile needs it",
	  "Linux 5.0 or newer" },
	{ 0 },
};

static const struct rule ebpf_rules[] = {
	{ absent_file, DOC_NOTE, "purple-trace is not installed; nothing but audit.ebpf needs it",
	  "build Purple where libbpf and clang are: meson -Debpf=enabled" },
	{ not_root, DOC_NOTE, "not used: audit.ebpf is for sandboxes that root starts", "" },
	{ no_types, DOC_NOTE, "there is no /sys/kernel/btf/vmlinux; nothing but audit.ebpf needs it",
	  "a kernel with CONFIG_DEBUG_INFO_BTF" },
	{ failed, DOC_NOTE, "{error}; nothing but audit.ebpf needs it",
	  "Linux 5.17 or newer, with CONFIG_BPF_SYSCALL, CONFIG_BPF_EVENTS and "
	  "CONFIG_FTRACE_SYSCALLS, not in lockdown=confidentiality" },
	{ 0 },
};

static const struct rule network_rules[] = {
	{ no_userns, DOC_NOTE, "it needs a user namespace, which cannot be had here",
	  "see the line \"user\"" },
	{ failed, DOC_NOTE,
	  "{error}: a policy with network.isolated: false needs --best-effort here, and is held at "
	  "the TCP ports that its rules list; isolated ones need nothing",
	  "modprobe -a nf_tables nft_chain_nat nft_ct nft_redir   (CONFIG_NF_TABLES_INET, "
	  "CONFIG_NFT_CT, CONFIG_NFT_NAT, CONFIG_NFT_REDIR)" },
	{ 0 },
};

#define REMEDY_SCOPE \
	"run in a scope that systemd delegates: systemd-run --user --scope -p Delegate=yes …"

static const struct rule cgroup_rules[] = {
	{ no_cgroups, DOC_NOTE, "{cgroups}; the default profile needs none",
	  "as root: mount -t cgroup2 none /sys/fs/cgroup" },
	{ cgroups_for_root, DOC_NOTE, "not every limit can be set ({cgroup-kind}): {cgroups}",
	  "in a container: have it started with control groups that it may write" },
	{ not_delegated, DOC_NOTE, "{cgroups}; the default profile needs none", REMEDY_SCOPE },
	{ scope_in_part, DOC_NOTE, "not every limit can be set ({cgroup-kind}): {cgroups}",
	  "as root: systemctl edit user@.service, and write there\n"
	  "[Service]\nDelegate=cpu cpuset io memory pids" },
	{ delegated_in_part, DOC_NOTE, "not every limit can be set ({cgroup-kind}): {cgroups}",
	  REMEDY_SCOPE },
	{ no_swap_limit, DOC_NOTE, "the kernel does not account swap: a limit of memory leaves it open",
	  "boot with swapaccount=1, or without swap" },
	{ 0 },
};

static const struct rule tiocsti_rules[] = {
	{ tiocsti, DOC_NOTE,
	  "dev.tty.legacy_tiocsti is on; Purple refuses TIOCSTI by seccomp and its own terminal",
	  "for the rest of the machine, as root: sysctl -w dev.tty.legacy_tiocsti=0" },
	{ 0 },
};

static const struct rule lsm_rules[] = {
	{ lsm_known, DOC_NOTE, "{lsm}", "" },
	{ always, DOC_NOTE, "the list is not readable (no securityfs)", "" },
	{ 0 },
};

static const struct rule newuidmap_rules[] = {
	{ no_newuidmap, DOC_NOTE,
	  "no newuidmap or no range in /etc/subuid: sandboxes have one user id, as the default "
	  "profile does",
	  "the package uidmap (shadow-utils), and as root: usermod --add-subuids 100000-165535 "
	  "--add-subgids 100000-165535 USER" },
	{ 0 },
};

static const struct rule file_rules[] = {
	{ files_absent, DOC_MISSING, "not found in {prefix}/: {absent}",
	  "install Purple whole: make install PREFIX=DIR, and run DIR/bin/purple" },
	{ 0 },
};

static const struct rule launcher_rules[] = {
	{ no_launcher, DOC_NOTE, "there is none to look at", "" },
	{ launcher_dynamic, DOC_DEGRADED, "linked dynamically: every start takes longer",
	  "build where a static libc is installed (musl-tools on Debian and Ubuntu)" },
	{ 0 },
};

/* ---- the checks: the twelve layers, then what they stand on ---- */

#define LAYER(id, error, arg, rules) { id, id, true, error, NULL, arg, rules }

static const struct check checks[] = {
	LAYER("user", AT(userns), "user", userns_rules),
	LAYER("pid", NS(1), "pid", namespace_rules),
	LAYER("mount", NS(2), "mnt", namespace_rules),
	LAYER("net", NS(3), "net", namespace_rules),
	LAYER("ipc", NS(4), "ipc", namespace_rules),
	LAYER("uts", NS(5), "uts", namespace_rules),
	LAYER("cgroup", NS(6), "cgroup", namespace_rules),
	LAYER("time", NS(7), "time", time_rules),
	LAYER("capabilities", AT(cap_drop), "", capability_rules),
	LAYER("no_new_privs", AT(no_new_privs), "", nnp_rules),
	{ "landlock", "landlock", true, AT(landlock), "ABI {abi}", "", landlock_rules },
	LAYER("seccomp", AT(seccomp_filter), "", seccomp_rules),
	{ "mount-api", "mount", true, AT(mount_api), NULL, "", mount_api_rules },
	{ "root-tmpfs", "mount", true, AT(userns_mount), NULL, "", tmpfs_rules },
	{ "proc", "mount", true, AT(userns_proc), NULL, "", proc_rules },
	{ "idmapped-mounts", "user", true, AT(idmapped_mount), NULL, "", idmap_rules },
	{ "id-ranges", "user", true, offsetof(struct doctor_facts, id_lock), "/run/purple/ids", "",
	  id_lock_rules },
	{ "clone3", "pid", true, AT(clone3), NULL, "", clone3_rules },
	{ "close-range", "pid", true, AT(close_range), NULL, "", close_range_rules },
	{ "pidfd", "pid", true, AT(pidfd), NULL, "", pidfd_rules },
	{ "keyring", "ipc", true, AT(keyctl), NULL, "", keyring_rules },
	{ "seccomp-notify", "seccomp", false, AT(seccomp_notify), NULL, "", notify_rules },
	{ "overlay", "mount", false, AT(overlay_userns), NULL, "", overlay_rules },
	{ "ebpf", "audit", false, offsetof(struct doctor_facts, ebpf), NULL, "", ebpf_rules },
	{ "nf_tables", "net", false, AT(network), NULL, "", network_rules },
	{ "cgroup-limits", "cgroups", false, NO_ERROR, "{cgroup-kind}", "", cgroup_rules },
	{ "terminal", "terminal", false, NO_ERROR, NULL, "", tiocsti_rules },
	{ "lsm", "lsm", false, NO_ERROR, NULL, "", lsm_rules },
	{ "newuidmap", "user", false, NO_ERROR, NULL, "", newuidmap_rules },
	{ "files", "purple", true, NO_ERROR, "{prefix}/", "", file_rules },
	{ "launcher", "purple", false, NO_ERROR, "static", "", launcher_rules },
};
_Static_assert(ARRAY_SIZE(checks) <= DOCTOR_CHECKS_MAX, "DOCTOR_CHECKS_MAX");

/* clang-format on */

/* What each ABI brought, and with which kernel; landlock(7). */
static const char *const landlock_news[] = {
	[2] = "renaming across directories (5.19)",
	[3] = "truncation (6.2)",
	[4] = "TCP rules (6.7)",
	[5] = "ioctl on devices (6.10)",
	[6] = "scoped signals and abstract sockets (6.12)",
};

static void add_lacks(unsigned abi, struct buf *out)
{
	const char *comma = "";

	for (size_t i = 2; i < ARRAY_SIZE(landlock_news); i++) {
		if (i <= abi)
			continue;
		buf_printf(out, "%s%s", comma, landlock_news[i]);
		comma = ", ";
	}
}

static const char *const cgroup_kinds[CG_KINDS] = {
	[CG_NONE] = "none",
	[CG_SCOPE] = "by a systemd scope",
	[CG_V2] = "version 2",
	[CG_V1] = "version 1",
	[CG_HYBRID] = "version 1 limits, version 2 tracks",
};

/* Append the value of the placeholder at @name; its length, 0 if it is none. */
static size_t add_value(const struct doctor_facts *f, const struct check *c, int error,
			const char *name, struct buf *out)
{
	const struct {
		const char *name, *value;
	} texts[] = {
		{ "{error}", strerror(error) },
		{ "{arg}", c->arg },
		{ "{release}", f->probe.quick.release },
		{ "{machine}", f->probe.quick.machine },
		{ "{lsm}", f->probe.lsm },
		{ "{prefix}", f->install.prefix },
		{ "{absent}", f->install.absent },
		{ "{cgroups}", f->cgroups.why },
		{ "{cgroup-kind}", cgroup_kinds[f->cgroups.kind] },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (str_after(name, texts[i].name)) {
			buf_puts(out, texts[i].value);
			return strlen(texts[i].name);
		}
	if (str_after(name, "{abi}")) {
		buf_printf(out, "%u", f->probe.quick.landlock_abi);
		return strlen("{abi}");
	}
	if (str_after(name, "{max}")) {
		buf_printf(out, "%lld", (long long)f->probe.max_user_namespaces);
		return strlen("{max}");
	}
	if (str_after(name, "{lacks}")) {
		add_lacks(f->probe.quick.landlock_abi, out);
		return strlen("{lacks}");
	}
	return 0;
}

static void expand(const struct doctor_facts *f, const struct check *c, int error, const char *text,
		   char *dst, size_t size)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4096);
	size_t n;

	for (; text && *text != '\0'; text += n) {
		n = *text == '{' ? add_value(f, c, error, text, &b) : 0;
		if (n == 0)
			buf_add(&b, text, n = 1);
	}
	str_copy(dst, size, b.data ? b.data : "");
}

static const struct rule *find_rule(const struct check *c, const struct doctor_facts *f, int error)
{
	for (const struct rule *r = c->rules; r->when; r++)
		if (r->when(f, error))
			return r;
	return NULL;
}

static void judge(const struct check *c, const struct doctor_facts *f, struct doctor_verdict *v)
{
	static const struct rule fallback = { NULL, DOC_MISSING, "{error}",
					      "look in the kernel log (dmesg, journalctl -k)" };
	const struct rule *r;
	int error = 0;

	if (c->error != NO_ERROR)
		memcpy(&error, (const char *)f + c->error, sizeof(error));
	*v = (struct doctor_verdict){ .id = c->id, .layer = c->layer, .required = c->required };
	r = find_rule(c, f, error);
	if (!r && error != 0)
		r = &fallback;
	v->state = r ? r->state : DOC_OK;
	expand(f, c, error, r ? r->why : c->ok, v->why, sizeof(v->why));
	expand(f, c, error, r ? r->remedy : "", v->remedy, sizeof(v->remedy));
}

size_t doctor_judge(const struct doctor_facts *f, struct doctor_verdict ret[DOCTOR_CHECKS_MAX])
{
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		judge(&checks[i], f, &ret[i]);
	return ARRAY_SIZE(checks);
}

bool doctor_ready(const struct doctor_verdict *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].required && (v[i].state == DOC_MISSING || v[i].state == DOC_DEGRADED))
			return false;
	return true;
}
