/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs as:  root, in the host's namespaces, beside one sandbox, until its programs
 *           are in the kernel; from then on as nobody, without capabilities, files,
 *           or more than seven system calls: trace/confine.h.
 * Reads:    its configuration from the supervisor (descriptor 3); the kernel's types
 *           (/sys/kernel/btf/vmlinux). Then records that its programs in the kernel
 *           write, whose strings whoever is inside chooses.
 * Trusts:   the supervisor and the kernel. It follows no string of a record.
 * May call: nobody. Writes to the supervisor alone.
 *
 * When it dies the supervisor says so in the trail, and nothing inside changes.
 * It ends with the supervisor.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/files.h"
#include "trace/protocol.h"
#include "trace/serve.h"

int main(int argc, char **argv)
{
	/* A terminal's signals are the supervisor's, which ends us by closing its end. */
	static const int ignored[] = { SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTSTP };
	socklen_t len = sizeof(int);
	struct err err = {};
	int type = 0;

	if (argc != 1 || getsockopt(TRACE_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET) {
		fprintf(stderr, "purple-trace: is started by purple run, not by hand\n");
		return EXIT_PURPLE;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	if (sys_close_range(TRACE_CONTROL_FD + 1, ~0u, 0) < 0 || chdir("/") < 0)
		return EXIT_PURPLE;
	return trace_serve(TRACE_CONTROL_FD, &err) < 0 ? EXIT_PURPLE : 0;
}
