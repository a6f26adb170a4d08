/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-init as the server of commands, driven over its socket: the real
 * program (argv[1]), as a child, outside of a sandbox. That what it starts is
 * confined as it is itself is for the end-to-end tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "jail/init_protocol.h"

static const char *program;

struct init {
	pid_t pid;
	int socket;
};

/* Take the next message; the pidfd that came with it, or -1, goes to @fd. */
static bool receive(int socket, struct init_message *m, int *fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec io = { m, sizeof(*m) };
	struct msghdr msg = { .msg_iov = &io,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct pollfd p = { .fd = socket, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 10000), 1);
	*fd = -1;
	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != sizeof(*m))
		return false;
	if (CMSG_FIRSTHDR(&msg))
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return true;
}

static struct init_message expect(struct init *i, enum init_type type, uint32_t token)
{
	struct init_message m;
	int fd;

	assert_true(receive(i->socket, &m, &fd));
	assert_int_equal(m.type, type);
	assert_int_equal(m.token, token);
	assert_int_equal(fd >= 0, type == INIT_STARTED);
	if (fd >= 0)
		close(fd);
	return m;
}

static int setup(void **state)
{
	static struct init i;
	char number[12];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	i.socket = pair[0];
	i.pid = fork();
	if (i.pid == 0) {
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
		snprintf(number, sizeof(number), "%d", pair[1]);
		fcntl(pair[1], F_SETFD, 0);
		dup2(2, 99); /* nothing of what is open here reaches a command */
		execl(program, "purple-init", "0", "0", number, "0", "0", NULL);
		_exit(99);
	}
	close(pair[1]);
	expect(&i, INIT_READY, 0);
	*state = &i;
	return 0;
}

/* End of file on its socket ends it. */
static int teardown(void **state)
{
	struct init *i = *state;
	int status;

	close(i->socket);
	assert_int_equal(waitpid(i->pid, &status, 0), i->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 125);
	return 0;
}

static void send_fds(struct init *i, uint32_t token, uint32_t flags, const int *fds, size_t n)
{
	struct init_message m = { INIT_EXEC, token, flags, 0 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = { 0 };
	struct iovec io = { &m, sizeof(m) };
	struct msghdr msg = { .msg_iov = &io, .msg_iovlen = 1 };

	if (n) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(i->socket, &msg, 0), sizeof(m));
}

/* A memfd of @head and @text. */
static int block_of(struct init_block head, const void *text, size_t size)
{
	int fd = memfd_create("block", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, &head, sizeof(head)), sizeof(head));
	assert_int_equal(write(fd, text, size), size);
	return fd;
}

/* @list: strings, up to a NULL. */
static uint32_t add(char *text, size_t *size, const char *const *list)
{
	uint32_t n = 0;

	for (; list[n]; n++) {
		memcpy(text + *size, list[n], strlen(list[n]) + 1);
		*size += strlen(list[n]) + 1;
	}
	return n;
}

struct request {
	const char *dir;
	const char *const *argv, *const *env;
	uint32_t flags;
	int fds[3];
};

static void request(struct init *i, uint32_t token, const struct request *r)
{
	static char text[65536];
	static const char *const no_env[] = { NULL };
	struct init_block head = { 0 };
	size_t size = 0;
	int fds[4] = { 0, r->fds[0], r->fds[1], r->fds[2] };

	add(text, &size, (const char *const[]){ r->dir ? r->dir : "/", NULL });
	head.argc = add(text, &size, r->argv);
	head.envc = add(text, &size, r->env ? r->env : no_env);
	head.size = (uint32_t)(sizeof(head) + size);
	fds[0] = block_of(head, text, size);
	send_fds(i, token, r->flags, fds, 4);
	close(fds[0]);
}

static const char *const path[] = { "PATH=:/nowhere:/usr/bin:/bin", "X=y z", NULL };
#define SH(script) ((const char *const[]){ "sh", "-c", script, NULL })

static void shell(struct init *i, uint32_t token, const char *script, int out)
{
	request(i, token, &(struct request){ "/", SH(script), path, 0, { 0, out, out } });
}

static void test_run(void **state)
{
	struct init *i = *state;
	char text[256] = "";
	int out[2], one = open("/dev/null", O_RDWR | O_CLOEXEC);
	ssize_t n;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	request(i, 7,
		&(struct request){ "/usr",
				   SH("echo $0 $X; pwd; ls -m /proc/$$/fd; "
				      "test $(cut -d' ' -f6 /proc/$$/stat) = $$ && echo leads; "
				      /* A child of sh's would see what sh blocks to start it. */
				      "while read -r k v; do test $k = SigBlk: && echo $k $v; "
				      "done </proc/$$/status; exit 3"),
				   path,
				   0,
				   { one, out[1], one } });
	assert_true(expect(i, INIT_STARTED, 7).value > 0);
	assert_int_equal(expect(i, INIT_EXITED, 7).value, 3 << 8);
	n = read(out[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	assert_string_equal(text, "sh y z\n/usr\n0, 1, 2\nleads\nSigBlk: 0000000000000000\n");
	close(one);
	close(out[0]);
	close(out[1]);
}

static void test_signal(void **state)
{
	struct init *i = *state;

	shell(i, 1, "kill -9 $$", 2);
	expect(i, INIT_STARTED, 1);
	assert_int_equal(expect(i, INIT_EXITED, 1).value, 9);
}

/* The pidfd leads to the command, and its token tells it from others. */
static void test_two(void **state)
{
	struct init *i = *state;
	struct init_message m;
	int pidfd;

	request(i, 1, &(struct request){ "/", SH("exec sleep 100"), path, 0, { 0, 2, 2 } });
	assert_true(receive(i->socket, &m, &pidfd));
	assert_int_equal(m.type, INIT_STARTED);
	shell(i, 2, "exit 5", 2);
	expect(i, INIT_STARTED, 2);
	assert_int_equal(expect(i, INIT_EXITED, 2).value, 5 << 8);
	assert_int_equal((int)syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0), 0);
	assert_int_equal(expect(i, INIT_EXITED, 1).value, SIGTERM);
	close(pidfd);
}

static const struct {
	const char *dir, *name;
	int code;
	enum init_stage stage;
} failures[] = {
	{ "/", "no-such-program", ENOENT, INIT_AT_EXEC },
	{ "/", "", ENOENT, INIT_AT_EXEC },
	{ "/", "/no/such", ENOENT, INIT_AT_EXEC },
	{ "/", "/etc/passwd", EACCES, INIT_AT_EXEC },
	{ "/", "/etc", EACCES, INIT_AT_EXEC },
	{ "/no/such", "true", ENOENT, INIT_AT_DIRECTORY },
};

static void test_failures(void **state)
{
	struct init *i = *state;
	uint32_t n = 0;

	for (; n < sizeof(failures) / sizeof(failures[0]); n++) {
		const char *const argv[] = { failures[n].name, NULL };
		struct init_message m;

		request(i, n, &(struct request){ failures[n].dir, argv, path, 0, { 0, 1, 2 } });
		m = expect(i, INIT_FAILED, n);
		assert_int_equal(m.value, failures[n].code);
		assert_int_equal(m.flags, failures[n].stage);
	}
	/* A descriptor that is no terminal. */
	request(i, n,
		&(struct request){
			"/", SH("true"), path, INIT_TTY, { i->socket, i->socket, i->socket } });
	assert_int_equal(expect(i, INIT_FAILED, n).flags, INIT_AT_TERMINAL);
	shell(i, 100, "true", 2);
	expect(i, INIT_STARTED, 100);
	assert_int_equal(expect(i, INIT_EXITED, 100).value, 0);
}

/* It trusts the supervisor, but a fault there shall be an error here. */
static void test_bad_blocks(void **state)
{
	static const struct {
		struct init_block head;
		const char *text;
		uint32_t size;
	} bad[] = {
		{ { 0, 1, 0, 0 }, "/\0true", 7 },
		{ { 16, 1, 0, 0 }, "/\0true", 7 },
		{ { 23, 0, 0, 0 }, "/\0true", 7 },
		{ { 23, 2, 0, 0 }, "/\0true", 7 },
		{ { 23, 1, 1, 0 }, "/\0true", 7 },
		{ { 23, 1, 0, 0 }, "/\0truexx", 8 },	/* not terminated */
		{ { 25, 1, 0, 0 }, "/\0true\0x\0", 9 }, /* more than said */
		{ { 64, 1, 0, 0 }, "/\0true", 7 },	/* less than said */
		{ { 5 << 20, 1, 0, 0 }, "/\0true", 7 },
		{ { UINT32_MAX, UINT32_MAX, UINT32_MAX, 0 }, "/\0true", 7 },
		{ { 23, UINT32_MAX, 2, 0 }, "/\0true", 7 },
	};
	struct init *i = *state;

	for (uint32_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		int fds[4] = { block_of(bad[n].head, bad[n].text, bad[n].size), 0, 1, 2 };

		send_fds(i, n, 0, fds, 4);
		close(fds[0]);
		assert_int_equal(expect(i, INIT_FAILED, n).value, EBADMSG);
	}
	for (uint32_t n = 0; n < 4; n++) {
		send_fds(i, n, 0, (const int[]){ 0, 1, 2, 0 }, n);
		assert_int_equal(expect(i, INIT_FAILED, n).value, EMFILE);
	}
}

/* "PID PID …" of its children; the length. */
static size_t children_of(const struct init *i, char *buf, size_t size)
{
	char file[64];
	ssize_t n;
	int fd;

	snprintf(file, sizeof(file), "/proc/%d/task/%d/children", (int)i->pid, (int)i->pid);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = read(fd, buf, size - 1);
	assert_true(n >= 0);
	buf[n] = '\0';
	close(fd);
	return (size_t)n;
}

/* Orphans are reaped, and are no command's end. */
static void test_orphans(void **state)
{
	struct init *i = *state;
	char children[64];

	shell(i, 1, "(sleep 0.1 & sleep 0.1 & sleep 0.1 &)", 2);
	expect(i, INIT_STARTED, 1);
	expect(i, INIT_EXITED, 1);
	for (int k = 0; k < 100 && children_of(i, children, sizeof(children)) > 0; k++)
		usleep(50000);
	assert_int_equal(children_of(i, children, sizeof(children)), 0);
}

static void test_many(void **state)
{
	struct init *i = *state;
	struct init_message m;
	char children[4096];
	pid_t pid;
	int pidfd;

	for (uint32_t n = 0; n < INIT_COMMANDS_MAX; n++) {
		const char *const argv[] = { "sleep", "100", NULL };

		request(i, n, &(struct request){ "/", argv, path, 0, { 0, 1, 2 } });
		expect(i, INIT_STARTED, n);
	}
	shell(i, 1000, "true", 2);
	m = expect(i, INIT_FAILED, 1000);
	assert_int_equal(m.value, EAGAIN);
	assert_int_equal(m.flags, INIT_AT_START);
	assert_true(children_of(i, children, sizeof(children)) > 0);
	for (char *p = children, *end; (pid = (pid_t)strtol(p, &end, 10)) > 0; p = end)
		kill(pid, SIGKILL);
	for (uint32_t n = 0; n < INIT_COMMANDS_MAX; n++) {
		assert_true(receive(i->socket, &m, &pidfd));
		assert_int_equal(m.type, INIT_EXITED);
		assert_int_equal(m.value, SIGKILL);
	}
	shell(i, 1001, "true", 2);
	expect(i, INIT_STARTED, 1001);
	expect(i, INIT_EXITED, 1001);
}

static void test_terminal(void **state)
{
	struct init *i = *state;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	char text[128] = "";

	assert_true(master >= 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	request(i, 1,
		&(struct request){ "/",
				   SH("exec </dev/tty && ps -o stat= -p $$"),
				   path,
				   INIT_TTY,
				   { slave, slave, slave } });
	expect(i, INIT_STARTED, 1);
	assert_int_equal(expect(i, INIT_EXITED, 1).value, 0);
	assert_true(read(master, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "s+")); /* leads its session, in the foreground */
	close(slave);
	close(master);
}

int main(int argc, char **argv)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_run),	       TEST(test_signal),  TEST(test_two),  TEST(test_failures),
		TEST(test_bad_blocks), TEST(test_orphans), TEST(test_many), TEST(test_terminal),
	};

	if (argc != 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
