/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_serve.h"

#include <errno.h>

#include "base/fd.h"
#include "cli/sandboxes.h"
#include "serve/http.h"

static const char *const help[] = {
	"Answers Prometheus at http://ADDRESS:PORT/metrics, for all sandboxes of this user, until it",
	"is ended by a signal; the sandboxes go on. /healthz and /readyz say that it runs.",
	"",
	"  -m, --metrics ADDRESS:PORT   where: 127.0.0.1:9464, [::1]:9464; port 0: a free one",
	"      --listen-any             the address may be one that other hosts reach",
	"      --best-effort            go without Landlock where the kernel has none",
	"  -h, --help                   this text",
	NULL,
};

int cmd_serve(int argc, char **argv)
{
	struct serve_request request = { .all = -1 };
	const struct option_word options[] = {
		{ 'm', "metrics", &request.address, NULL },
		{ 0, "listen-any", NULL, &request.any },
		{ 0, "best-effort", NULL, &request.best_effort },
	};
	const struct command_line line = {
		help, "purple serve --metrics ADDRESS:PORT", options, ARRAY_SIZE(options), 0, 0,
	};
	_cleanup_close_ int all = -1;
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r == 0 && !request.address) {
		r = err_set(&e, EPROTO, "usage", "what to serve is not said");
		err_remedy(&e, "%s", line.usage);
	}
	if (r == 0) {
		/* Made, for afterwards no other can be opened. */
		all = sandboxes_open_or_make(&e);
		request.all = all;
		r = all < 0 ? all : 0;
	}
	if (r >= 0)
		r = serve_run(&request, &e);
	return r < 0 ? command_failed(&e) : 0;
}
