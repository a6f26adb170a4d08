/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_exec.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/sandbox.h"
#include "jail/init_protocol.h"
#include "supervisor/client.h"
#include "sys/files.h"

static const char exec_help[] =
	"usage: purple exec [OPTION…] NAME [--] COMMAND [ARGUMENT…]\n\n"
	"Runs COMMAND in the sandbox NAME, under everything that confines it.\n\n"
	"  -w, --dir DIR             start in this directory of the sandbox\n"
	"  -e, --env NAME=VALUE      set a variable for the command\n"
	"  -t, --tty                 give it a terminal; done anyway when ours is one\n"
	"  -i                        accepted; input is always passed on\n"
	"  -h, --help                this text\n";

static const char attach_help[] =
	"usage: purple attach NAME\n\n"
	"Joins this terminal to that of a sandbox started by `purple run --detach --tty`; without\n"
	"--tty, shows what it writes. Ctrl-p Ctrl-q leaves, and it goes on. Ctrl-C is for its\n"
	"command; `purple logs -f NAME` only looks.\n";

enum { VARIABLES_MAX = 128 };

struct exec_options {
	const char *name, *dir;
	const char *variables[VARIABLES_MAX];
	uint32_t variables_count;
	bool tty, help;
	char *const *command;
};

static int usage_error(struct err *e, const char *message, const char *what)
{
	err_set(e, EPROTO, "usage", "%s%.80s", message, what);
	err_remedy(e, "purple exec [OPTION…] NAME [--] COMMAND [ARGUMENT…]");
	return -EPROTO;
}

/* The value of the option in argv[*i]: behind '=', or the next word. */
static const char *value_of(char **argv, int *i)
{
	const char *equals = strncmp(argv[*i], "--", 2) == 0 ? strchr(argv[*i], '=') : NULL;

	return equals ? equals + 1 : argv[*i + 1] ? argv[++*i] : NULL;
}

static bool is_option(const char *word, const char *letter, const char *name)
{
	const char *rest = str_after(word, name);

	return streq(word, letter) || (rest && (*rest == '\0' || *rest == '='));
}

static int parse_one(char **argv, int *i, struct exec_options *o, struct err *e)
{
	const char *word = argv[*i], *value;

	if (streq(word, "-i") || streq(word, "-t") || streq(word, "-it") || streq(word, "-ti") ||
	    streq(word, "--tty")) {
		o->tty = o->tty || strchr(word, 't');
		return 0;
	}
	if (streq(word, "-h") || streq(word, "--help")) {
		o->help = true;
		return 0;
	}
	if (!is_option(word, "-w", "--dir") && !is_option(word, "-e", "--env"))
		return usage_error(e, "there is no option ", word);
	value = value_of(argv, i);
	if (!value || *value == '\0')
		return usage_error(e, "a value is missing after ", word);
	if (is_option(word, "-w", "--dir")) {
		if (value[0] != '/')
			return usage_error(e, "a directory of the sandbox starts with /, not as ",
					   value);
		o->dir = value;
		return 0;
	}
	if (!strchr(value, '=') || value[0] == '=')
		return usage_error(e, "a variable is given as NAME=VALUE, not as ", value);
	if (o->variables_count == VARIABLES_MAX)
		return usage_error(e, "too many variables at ", value);
	o->variables[o->variables_count++] = value;
	return 0;
}

static int parse(int argc, char **argv, struct exec_options *o, struct err *e)
{
	int i = 1, r;

	for (; i < argc && argv[i][0] == '-' && !streq(argv[i], "--"); i++) {
		r = parse_one(argv, &i, o, e);
		if (r < 0)
			return r;
	}
	if (o->help)
		return 0;
	if (i < argc && !streq(argv[i], "--"))
		o->name = argv[i++];
	if (!o->name)
		return usage_error(e, "no sandbox is named", "");
	if (i < argc && streq(argv[i], "--"))
		i++;
	else if (i < argc && argv[i][0] == '-')
		return usage_error(e, "options stand before the name of the sandbox, not as ",
				   argv[i]);
	if (i >= argc)
		return usage_error(e, "no command is given", "");
	o->command = argv + i;
	return 0;
}

/* A memfd with the struct init_block. */
static int make_block(const struct exec_options *o, struct err *e)
{
	_cleanup_buf_ struct buf b = BUF_INIT(INIT_BLOCK_MAX);
	struct init_block head = { .envc = o->variables_count };
	const char *dir = o->dir ? o->dir : "";
	int fd, r;

	buf_add(&b, &head, sizeof(head));
	buf_add(&b, dir, strlen(dir) + 1);
	for (char *const *a = o->command; *a; a++, head.argc++)
		buf_add(&b, *a, strlen(*a) + 1);
	for (uint32_t i = 0; i < o->variables_count; i++)
		buf_add(&b, o->variables[i], strlen(o->variables[i]) + 1);
	if (b.failed)
		return err_set(e, E2BIG, "exec", "%.80s", o->command[0]);
	head.size = (uint32_t)b.len;
	memcpy(b.data, &head, sizeof(head));
	fd = (int)sys_call(SYS_memfd_create, "command", 1 /* MFD_CLOEXEC */);
	if (fd < 0)
		return err_set(e, fd, "exec", "make room for the command");
	r = write_full(fd, b.data, b.len);
	if (r < 0) {
		sys_close(fd);
		return err_set(e, r, "exec", "make room for the command");
	}
	return fd;
}

static uint32_t terminals(void)
{
	uint32_t mask = 0;

	for (int fd = 0; fd <= 2; fd++) {
		struct termios t;

		if (sys_call(SYS_ioctl, fd, TCGETS, &t) == 0)
			mask |= 1U << fd;
	}
	return mask;
}

/* The terminal is the caller's, so what kind it is, is too; unless -e says something else. */
static void add_term(struct exec_options *o)
{
	for (uint32_t i = 0; i < o->variables_count; i++)
		if (str_after(o->variables[i], "TERM="))
			return;
	for (char **v = environ; *v && o->variables_count < VARIABLES_MAX; v++)
		if (str_after(*v, "TERM=")) {
			o->variables[o->variables_count++] = *v;
			return;
		}
}

static int exec(int argc, char **argv, int *status, struct err *e)
{
	struct exec_options o = { 0 };
	uint32_t terminal;
	int fd, block, r = sandbox_fill_stdio(e);

	if (r == 0)
		r = parse(argc, argv, &o, e);
	if (r != 0)
		return r;
	if (o.help) {
		write_full(STDOUT_FILENO, exec_help, sizeof(exec_help) - 1);
		*status = 0;
		return 0;
	}
	terminal = terminals();
	if (o.tty && !terminal)
		return usage_error(e, "a terminal is asked for, and here is none", "");
	if (terminal)
		add_term(&o);
	block = make_block(&o, e);
	if (block < 0)
		return block;
	fd = sandbox_connect(o.name, e);
	return fd < 0 ? fd : client_exec(fd, block, terminal, status, e);
}

int cmd_exec(int argc, char **argv)
{
	struct err e = { 0 };
	int status = EXIT_PURPLE;

	if (exec(argc, argv, &status, &e) < 0) {
		err_print(&e);
		return e.exit_code;
	}
	return status;
}

static int attach(int argc, char **argv, int *status, struct err *e)
{
	int fd, r = sandbox_fill_stdio(e);

	if (r < 0)
		return r;
	if (argc == 2 && (streq(argv[1], "--help") || streq(argv[1], "-h"))) {
		write_full(STDOUT_FILENO, attach_help, sizeof(attach_help) - 1);
		*status = 0;
		return 0;
	}
	if (argc != 2 || argv[1][0] == '-') {
		if (argc > 1 && argv[1][0] == '-')
			err_set(e, EPROTO, "usage", "there is no option %.80s", argv[1]);
		else
			err_set(e, EPROTO, "usage", "one name of a sandbox is what it takes");
		err_remedy(e, "purple attach NAME");
		return -EPROTO;
	}
	fd = sandbox_connect(argv[1], e);
	return fd < 0 ? fd : client_attach(fd, status, e);
}

int cmd_attach(int argc, char **argv)
{
	struct err e = { 0 };
	int status = EXIT_PURPLE;

	if (attach(argc, argv, &status, &e) < 0) {
		err_print(&e);
		return e.exit_code;
	}
	return status;
}
