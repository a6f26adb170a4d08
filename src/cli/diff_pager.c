/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/diff.h"
#include "sys/files.h"

enum { PAGER_WORDS_MAX = 16 };

/* Words of $PAGER, else less; no shell. */
static unsigned pager_words(char *room, char **argv)
{
	unsigned argc = 0;
	char *save = NULL;

	for (char *w = strtok_r(room, " \t", &save); w && argc < PAGER_WORDS_MAX;
	     w = strtok_r(NULL, " \t", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	return argc;
}

void diff_pager_start(struct diff *d)
{
	const char *pager = getenv("PAGER");
	char room[512], *argv[PAGER_WORDS_MAX + 1];
	posix_spawn_file_actions_t actions;
	int fds[2];
	pid_t pid;
	FILE *out;

	if (!str_copy(room, sizeof(room), pager ? pager : "less") || !pager_words(room, argv) ||
	    streq(argv[0], "cat") || pipe2(fds, O_CLOEXEC) < 0)
		return;
	/* As git: end if it fits, keep colours, leave the screen. */
	setenv("LESS", "FRX", 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[0], STDIN_FILENO);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0) {
		sys_close(fds[0]);
		sys_close(fds[1]);
	} else {
		sys_close(fds[0]);
		out = fdopen(fds[1], "w");
		if (out)
			d->out = out;
		else
			sys_close(fds[1]);
		d->pager = pid;
		/* It is the pager's to end on Ctrl-C, and ours to wait for it. */
		signal(SIGPIPE, SIG_IGN);
		signal(SIGINT, SIG_IGN);
	}
	posix_spawn_file_actions_destroy(&actions);
}

void diff_pager_end(struct diff *d)
{
	if (!d->pager)
		return;
	if (d->out != stdout)
		fclose(d->out);
	d->out = stdout;
	while (waitpid(d->pager, NULL, 0) < 0 && errno == EINTR)
		;
}
