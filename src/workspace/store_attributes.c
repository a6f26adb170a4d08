/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer's files are beside their contents. For the static launcher too. */
#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/internal.h"

enum { XATTR_MAX = 65536 }; /* XATTR_SIZE_MAX and XATTR_LIST_MAX, linux/limits.h */

/* What the kernel and its modules say of a file is theirs to say of another one. */
static bool is_copied(const char *name, bool overlay)
{
	/* Those of an overlay inside have another "overlay." in front. */
	if (str_after(name, "user.overlay.") && !str_after(name, "user.overlay.overlay."))
		return overlay;
	return str_after(name, "user.") || str_after(name, "system.posix_acl_");
}

static int copy_xattrs(int from, int to, bool overlay)
{
	static _cold_data_ char names[XATTR_MAX], value[XATTR_MAX];
	long n = sys_call(SYS_flistxattr, from, names, sizeof(names));

	if (n < 0)
		return n == -EOPNOTSUPP ? 0 : (int)n;
	for (long at = 0; at < n; at += (long)strlen(names + at) + 1) {
		long size, r;

		if (!is_copied(names + at, overlay))
			continue;
		size = sys_call(SYS_fgetxattr, from, names + at, value, sizeof(value));
		r = size < 0 ? size : sys_call(SYS_fsetxattr, to, names + at, value, size, 0);
		if (r < 0)
			return (int)r;
	}
	return 0;
}

int store_copy_attributes(int from, int to, bool overlay)
{
	struct timespec times[2];
	struct stat st = { 0 };
	long r = sys_call(SYS_newfstatat, from, "", &st, AT_EMPTY_PATH);

	if (r == 0)
		r = copy_xattrs(from, to, overlay);
	if (r == 0)
		r = sys_call(SYS_fchown, to, st.st_uid, st.st_gid);
	/* After the owner, who takes the set-id bits away; and after the xattrs: a mode mask. */
	if (r == 0)
		r = sys_call(SYS_fchmod, to, st.st_mode & 07777);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (r == 0)
		r = sys_call(SYS_utimensat, to, NULL, times, 0);
	return (int)r;
}
