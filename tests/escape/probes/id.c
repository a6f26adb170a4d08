/* SPDX-License-Identifier: Apache-2.0 */
/* id: can we become somebody else? */
#include <grp.h>

#include "probe.h"

int main(void)
{
	uid_t other = getuid() == 7 ? 8 : 7;

	judge(setresuid(other, other, other), "become another user");
}
