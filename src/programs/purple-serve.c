/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-serve: `purple serve`, an HTTP server for metrics.
 *
 * Runs as:  the caller, without capabilities, new privileges, processes, or files but
 *           the state directory, which it reads: serve/confine.h.
 * Reads:    requests of whoever connects; the state of the caller's own sandboxes, and
 *           what their supervisors answer.
 * Trusts:   the supervisors, which are the caller's own. Nobody who connects.
 * May call: the supervisors' control sockets, to ask for figures.
 */
#include "base/str.h"
#include "cli/caller.h"
#include "cli/cmd_serve.h"
#include "cli/sandboxes.h"

int main(int argc, char **argv)
{
	struct err e = { 0 };

	caller_clean_environment();
	if (argc > 0 && streq(argv[0], "serve"))
		return cmd_serve(argc, argv);
	err_set(&e, 71 /* EPROTO */, "usage", "purple-serve is started by purple");
	err_remedy(&e, "purple serve --metrics 127.0.0.1:9464");
	return command_failed(&e);
}
