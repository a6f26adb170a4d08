/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

int pipes_take(struct pipes *p, int ret[2])
{
	if (p->count) {
		memcpy(ret, p->kept[--p->count], sizeof(p->kept[0]));
		return 0;
	}
	if (pipe2(ret, O_NONBLOCK | O_CLOEXEC) < 0) {
		int r = -errno;

		ret[0] = ret[1] = -1;
		return r;
	}
	fcntl(ret[1], F_SETPIPE_SZ, PIPES_BYTES);
	return 0;
}

void pipes_close(int pipe[2])
{
	close_fdp(&pipe[0]);
	close_fdp(&pipe[1]);
}

void pipes_give(struct pipes *p, int pipe[2])
{
	if (p->count == PIPES_KEPT) {
		pipes_close(pipe);
		return;
	}
	memcpy(p->kept[p->count++], pipe, sizeof(p->kept[0]));
	pipe[0] = pipe[1] = -1;
}

void pipes_free(struct pipes *p)
{
	while (p->count)
		pipes_close(p->kept[--p->count]);
}
