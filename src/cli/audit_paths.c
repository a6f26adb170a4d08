/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_paths.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/dirs.h"

int audit_paths(struct audit_paths *ret, const char *file, struct err *e)
{
	static struct dirs d;
	const char *config = geteuid() == 0 ? "/etc" : NULL;
	int r = dirs_init(&d), n = 0, m = 0, k = 0;

	if (r < 0)
		return err_set(e, r, "start", "find out where purple is installed");
	if (!config)
		config = d.config;
	if (!file && !d.state) {
		err_set(e, EPROTO, "audit", "there is no home, and so no trail");
		err_remedy(e, "set HOME, or name the file");
		return -EPROTO;
	}
	n = file ? snprintf(ret->trail, PATH_MAX, "%s", file)
		 : snprintf(ret->trail, PATH_MAX, "%s/audit.jsonl", d.state);
	ret->key[0] = ret->pub[0] = '\0';
	if (config) {
		m = snprintf(ret->key, PATH_MAX, "%s/purple/audit.key", config);
		k = snprintf(ret->pub, PATH_MAX, "%s/purple/audit.pub", config);
	}
	if (n >= PATH_MAX || m >= PATH_MAX || k >= PATH_MAX)
		return err_set(e, ENAMETOOLONG, "audit", "the path of the trail or its key");
	return 0;
}
