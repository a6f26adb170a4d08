/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nooverlay COMMAND [ARGUMENT…]: run it where the kernel's overlayfs knows no option
 * "userxattr", as before Linux 5.11, so that nobody without root's rights has it: the
 * setting of any flag by fsconfig(2) is refused, to it and to all that it starts. Of what
 * Purple mounts only an overlay has flags. Needs no right: it sets no_new_privs.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)

int main(int argc, char **argv)
{
	/* The low half of the argument, on a little-endian machine; it is an int. */
	struct sock_filter code[] = {
		LOAD(nr),
		UNLESS(SYS_fsconfig, 3),
		LOAD(args[1]),
		UNLESS(FSCONFIG_SET_FLAG, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	if (argc < 2) {
		fputs("usage: nooverlay COMMAND [ARGUMENT...]\n", stderr);
		return 125;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		perror("nooverlay: seccomp");
		return 125;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 126;
}
