/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a policy file: never a crash, a leak or a success with errors. */
#include "fuzz.h"

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_policy_ struct policy p;
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	int r = policy_parse(&p, "fuzz", data, size, NULL, &d);

	if ((r == 0) != (d.errors == 0))
		abort();
	if (r == 0)
		r = policy_validate(&p, &d);
	if (r == 0) {
		/* What was accepted can be overridden. */
		(void)policy_set(&p, "resources.pids_limit=64", "--pids-limit", &d);
		(void)policy_set(&p, "filesystem.immutable_paths+=/opt:/x", "--ro", &d);
		(void)policy_validate(&p, &d);
	}
	return 0;
}
