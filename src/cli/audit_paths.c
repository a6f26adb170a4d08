/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/dirs.h"
#include "policy/policy.h"

int audit_paths(struct audit_paths *ret, const char *file, struct err *e)
{
	static struct dirs d;
	int r = dirs_init(&d), n;

	if (r < 0)
		return err_set(e, r, "start", "find out where purple is installed");
	if (!file && !d.state) {
		err_set(e, EPROTO, "audit", "there is no home, and so no trail");
		err_remedy(e, "set HOME, or name the file");
		return -EPROTO;
	}
	n = file ? snprintf(ret->trail, PATH_MAX, "%s", file)
		 : snprintf(ret->trail, PATH_MAX, "%s/audit.jsonl", d.state);
	ret->key[0] = ret->pub[0] = '\0';
	r = policy_audit_key(ret->key, PATH_MAX);
	if (n >= PATH_MAX || r == -ENAMETOOLONG)
		return err_set(e, ENAMETOOLONG, "audit", "the path of the trail or its key");
	if (r < 0)
		return 0;
	n = (int)strlen(ret->key) - (int)strlen(".key");
	snprintf(ret->pub, PATH_MAX, "%.*s.pub", n, ret->key);
	return 0;
}
