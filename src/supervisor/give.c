/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/give.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "sys/files.h"

void stdio_give(const struct launch *l, uint32_t idmap, const int fds[3])
{
	if (idmap != IDMAP_RANGE)
		return;
	for (int i = 0; i <= 2; i++) {
		struct statfs fs;
		struct stat st;

		/* FIFOs with a name in a file system stay as they are. */
		if (fstat(fds[i], &st) == 0 && S_ISFIFO(st.st_mode) && fstatfs(fds[i], &fs) == 0 &&
		    fs.f_type == PIPEFS_MAGIC && (st.st_uid == 0 || launch_is_range(st.st_uid)))
			sys_call(SYS_fchown, fds[i], l->range_base + l->uid,
				 l->range_base + l->gid);
	}
}
