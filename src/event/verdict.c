/* SPDX-License-Identifier: Apache-2.0 */
#include "event/advice.h"

static const char *const verdicts[NET_VERDICTS] = {
	[NET_NOT_LISTED] = "not listed",
	[NET_BLOCKED] = "blocked",
	[NET_SPECIAL] = "special address",
	[NET_OTHER_NAME] = "another name",
	[NET_NO_NAME] = "no name",
	[NET_UNREACHABLE] = "unreachable",
	[NET_TOO_MANY] = "too many connections",
	[NET_TOO_MANY_NAMES] = "too many names",
};

const char *net_verdict_name(enum net_verdict verdict)
{
	return verdict < NET_VERDICTS && verdicts[verdict] ? verdicts[verdict] : "unknown";
}
