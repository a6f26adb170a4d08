/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"
#include "cli/dirs.h"
#include "cli/sandboxes.h"
#include "serve/exposition.h"

static const char *const help[] = {
	"Prints what all sandboxes of this user use and have done, in Prometheus's text format:",
	"once, for a file that node_exporter collects. `purple serve --metrics` answers scrapes.",
	"",
	"  -h, --help   this text",
	NULL,
};

int cmd_metrics(int argc, char **argv)
{
	static const struct command_line line = { help, "purple metrics", NULL, 0, 0, 0 };
	_cleanup_buf_ struct buf b = BUF_INIT(EXPOSITION_MAX);
	_cleanup_gathered_ struct gathered g = { 0 };
	_cleanup_close_ int all = -1;
	static struct totals totals;
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r == 1)
		return 0;
	if (r < 0)
		return command_failed(&e);
	all = sandboxes_open(&e);
	r = err_is_set(&e) ? -e.code : gather(all, &g);
	if (r < 0) {
		if (!err_is_set(&e))
			err_set(&e, r, "state", "list the sandboxes");
		return command_failed(&e);
	}
	totals_read(all, &totals);
	exposition(&b, &g, &totals);
	return command_output(&b);
}
