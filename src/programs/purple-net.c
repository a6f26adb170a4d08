/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs as:  the caller, in the host's network namespace, beside one sandbox; as
 *           nobody where the caller is root. Without capabilities, files, new
 *           processes, or memory beyond what it began with: net/confine.h.
 * Reads:    first, its configuration from the supervisor (descriptor 3) and the
 *           host's /etc/resolv.conf. Then bytes of the sandbox, and of whoever
 *           it is connected to.
 * Trusts:   the supervisor. None of the rest.
 * May call: the host's DNS servers, for names that the policy allows, and what
 *           those resolve to, as far as its rules allow that: net/rules.h.
 *
 * When it dies, what the sandbox connects to is refused: its network is never
 * open. It ends with the supervisor.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/protocol.h"
#include "net/serve.h"
#include "sys/files.h"

int main(int argc, char **argv)
{
	/* A terminal's signals are the supervisor's, which ends us by closing its end. */
	static const int ignored[] = { SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTSTP };
	socklen_t len = sizeof(int);
	struct err err = {};
	int type = 0;

	if (argc != 1 || getsockopt(NET_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET) {
		fprintf(stderr, "purple-net: is started by purple run, not by hand\n");
		return EXIT_PURPLE;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	if (sys_close_range(NET_CONTROL_FD + 1, ~0u, 0) < 0 || chdir("/") < 0)
		return EXIT_PURPLE;
	return net_serve(NET_CONTROL_FD, &err) < 0 ? EXIT_PURPLE : 0;
}
