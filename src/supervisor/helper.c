/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of ours that live beside one sandbox, each with a socket to us. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "supervisor/internal.h"

int helper_spawn(const char *program, const char *name, int theirs, int also, int *ret)
{
	const char *argv[] = { name, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t pid;
	int r;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, theirs, HELPER_CONTROL_FD);
	if (also >= 0)
		posix_spawn_file_actions_adddup2(&actions, also, HELPER_OTHER_FD);
	else
		posix_spawn_file_actions_addclose(&actions, HELPER_OTHER_FD);
	for (int fd = 0; fd <= 2; fd++)
		posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	r = posix_spawn(&pid, program, &actions, &attributes, (char *const *)(uintptr_t)argv,
			environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (r == 0)
		*ret = pid;
	return -r;
}
