/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tally.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

static struct net_tally own;
struct net_tally *net_tally = &own;

int net_tally_share(int fd)
{
	struct net_tally *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
					fd, 0);

	if (shared == MAP_FAILED)
		return -errno;
	*shared = *net_tally;
	net_tally = shared;
	return 0;
}
