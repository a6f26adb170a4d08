/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dispatch.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/cmd_exec.h"
#include "cli/cmd_run.h"
#include "cli/dirs.h"
#include "config.h"

static const struct command {
	const char *name;
	int (*here)(int argc, char **argv);
	const char *program; /* else: executed in our place; argv[0] is the command's name */
	const char *summary;
} commands[] = {
	{ "run", cmd_run, NULL, "run a command in a sandbox" },
	{ "create", cmd_create, NULL, "make a sandbox that stays" },
	{ "exec", cmd_exec, NULL, "run a command in a sandbox that stays" },
	{ "attach", cmd_attach, NULL, "join the terminal of a detached sandbox" },
	{ "ps", NULL, "purple-sandbox", "list the sandboxes" },
	{ "stats", NULL, "purple-sandbox", "show what they use" },
	{ "top", NULL, "purple-top", "the same in a terminal, those that use most first" },
	{ "logs", NULL, "purple-sandbox", "print what a detached one has written" },
	{ "pause", NULL, "purple-sandbox", "stop all processes of one for a while" },
	{ "resume", NULL, "purple-sandbox", "let it go on" },
	{ "stop", NULL, "purple-sandbox", "end one in order" },
	{ "kill", NULL, "purple-sandbox", "end one at once, or signal its command" },
	{ "wait", NULL, "purple-sandbox", "wait until one has ended, for its status" },
	{ "rm", NULL, "purple-sandbox", "remove the record of one that has ended" },
	{ "diff", NULL, "purple-workspace", "show what one changed in its workspace" },
	{ "apply", NULL, "purple-workspace", "land in the workspace what one changed in it" },
	{ "discard", NULL, "purple-workspace", "drop what one changed in its workspace" },
	{ "snapshot", NULL, "purple-snapshot", "keep what one changed so far, to go back to it" },
	{ "snapshots", NULL, "purple-snapshot", "list what was kept" },
	{ "rollback", NULL, "purple-snapshot", "go back to it" },
	{ "fork", NULL, "purple-snapshot", "go on from it under another name as well" },
	{ "net", NULL, "purple-sandbox", "show and change what one reaches of the network" },
	{ "metrics", NULL, "purple-sandbox", "print figures in Prometheus's format" },
	{ "serve", NULL, "purple-serve", "answer Prometheus by HTTP" },
	{ "audit", NULL, "purple-audit", "read, report and verify what was written down" },
	{ "intent", NULL, "purple-sandbox", "write down what is to be done next in one" },
	{ "events", NULL, "purple-audit", "print what happens, as it happens" },
	{ "why", NULL, "purple-audit", "say what one was refused, and what would allow it" },
	{ "plan", NULL, "purple-plan", "show what would be enforced here, layer by layer" },
	{ "profile", NULL, "purple-profile", "list, show, explain, check and edit policies" },
	{ "doctor", NULL, "purple-doctor",
	  "say what this kernel and host offer, and what is missing" },
};

static void put(int fd, const char *s)
{
	write_full(fd, s, strlen(s));
}

static void usage(int fd)
{
	static const char pad[] = "           ";

	put(fd, "usage: purple COMMAND [ARGUMENT…]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		put(fd, "  ");
		put(fd, commands[i].name);
		put(fd, pad + strlen(commands[i].name));
		put(fd, commands[i].summary);
		put(fd, "\n");
	}
	put(fd, "\npurple run --help lists its options; purple(1) is the manual.\n");
}

static int exec_program(const char *program, char **argv)
{
	static _cold_data_ struct dirs dirs;
	char path[PATH_MAX] = "";
	struct err e = { 0 };
	char c;
	int r;

	if (readlink("/proc/self/exe", &c, 1) < 0) {
		err_set(&e, -errno, "start", "read /proc/self/exe");
		err_remedy(&e, "mount /proc: mount -t proc proc /proc");
		err_print(&e);
		return EXIT_PURPLE;
	}
	r = dirs_init(&dirs);
	if (r == 0 && !dirs_program(&dirs, program, path, sizeof(path)))
		r = -ENAMETOOLONG;
	if (r == 0) {
		execv(path, argv);
		r = -errno;
	}
	err_set(&e, r, "start", "%s", path[0] ? path : program);
	err_remedy(&e, "this installation of Purple is not whole; install it again");
	err_print(&e);
	return EXIT_PURPLE;
}

static int unknown(const char *name)
{
	const char *best = commands[0].name;
	struct err e = { 0 };
	bool near;

	for (size_t i = 1; i < ARRAY_SIZE(commands); i++)
		if (str_distance(name, commands[i].name) < str_distance(name, best))
			best = commands[i].name;
	near = str_distance(name, best) <= (strlen(best) < 4 ? 1 : 2);
	err_set(&e, EPROTO, "usage", "there is no command %s%s%s%s", name,
		near ? "; did you mean `purple " : "", near ? best : "", near ? "`?" : "");
	if (near)
		err_remedy(&e, "`purple --help` lists the commands");
	else
		err_remedy(&e,
			   "to run a program in a sandbox: purple run -- %s; `purple --help` lists "
			   "the commands",
			   name);
	err_print(&e);
	return EXIT_PURPLE;
}

int dispatch(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (argc < 2) {
		usage(STDERR_FILENO);
		return EXIT_PURPLE;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (streq(name, commands[i].name))
			return commands[i].here ? commands[i].here(argc - 1, argv + 1)
						: exec_program(commands[i].program, argv + 1);
	if (argc == 3 && streq(name, "help")) {
		char help[] = "--help", *of[] = { argv[0], argv[2], help, NULL };

		return dispatch(3, of);
	}
	if (streq(name, "--help") || streq(name, "-h") || streq(name, "help")) {
		usage(STDOUT_FILENO);
		return 0;
	}
	if (streq(name, "--version") || streq(name, "-V") || streq(name, "version")) {
		put(STDOUT_FILENO, "purple " PURPLE_VERSION "\n");
		return 0;
	}
	return unknown(name);
}
