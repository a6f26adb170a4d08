/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs as:  the caller, in the host's network namespace, in a session of its own; as
 *           nobody where the caller is root. Once it knows the collector's address: without
 *           capabilities, files or new processes (event/otlp_export.h).
 * Reads:    spans from the supervisor (descriptor 3); the caller's OTEL_* variables, if the
 *           policy says so, and the host's certificates; then what the collector answers.
 * Trusts:   the supervisor. The collector's answers are read as hostile.
 * May call: the collector that the policy names, and the host's DNS servers for its address.
 *
 * It outlives the supervisor by a few seconds at most, and leaves nothing but its counts.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "event/otlp.h"
#include "event/otlp_export.h"
#include "sys/files.h"

int main(int argc, char **argv)
{
	socklen_t len = sizeof(int);
	int type = 0, counts = OTLP_COUNTS_FD;

	if (argc != 1 || getsockopt(OTLP_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET) {
		fprintf(stderr, "purple-otlp: is started by purple run, not by hand\n");
		return EXIT_PURPLE;
	}
	signal(SIGPIPE, SIG_IGN);
	if (fcntl(counts, F_GETFL) < 0)
		counts = -1;
	if (sys_close_range(OTLP_COUNTS_FD + 1, ~0u, 0) < 0 || chdir("/") < 0)
		return EXIT_PURPLE;
	return otlp_export(OTLP_CONTROL_FD, counts) < 0 ? EXIT_PURPLE : 0;
}
