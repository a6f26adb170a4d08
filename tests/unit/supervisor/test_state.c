/* SPDX-License-Identifier: Apache-2.0 */
/* State on disk: written and read, rubbish, claims, remains. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "supervisor/state.h"

static char top[] = "/tmp/purple-state-XXXXXX";
static int all;

static int setup(void **state)
{
	memcpy(strrchr(top, '-'), "-XXXXXX", 7);
	if (!mkdtemp(top))
		return -1;
	all = state_open_all(top, true);
	return all < 0;
}

static int teardown(void **state)
{
	char command[128];

	close(all);
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static int claim(const char *name)
{
	struct err e = { 0 };

	return state_claim(all, name, &e);
}

/* Written by one that does not live on: its lock is given up. */
static int write_state(int dir, const struct sandbox_state *s)
{
	struct state_file f = STATE_FILE_INIT;
	int r = state_write(dir, &f, s);

	if (f.fd >= 0)
		close(f.fd);
	return r;
}

static struct sandbox_state example(void)
{
	static char command[SANDBOX_TEXT];
	struct sandbox_state s = { .id = "abcdefghij23",
				   .name = "box",
				   .phase = SANDBOX_RUNNING,
				   .kind = SANDBOX_DETACHED,
				   .stays = true,
				   .supervisor = 77,
				   .pid1 = 78,
				   .started_ms = 1234567890123,
				   .exit_status = 3,
				   .reason = "timeout",
				   .profile = "default",
				   .workspace = "/a b\\x\n\x1b[31m/é",
				   .command = command };

	memset(command, '\n', sizeof(command) - 1);
	return s;
}

static void test_round_trip(void **state)
{
	struct sandbox_state s = example(), got;
	int dir = claim("box");

	assert_true(dir >= 0);
	assert_int_equal(write_state(dir, &s), 0);
	assert_int_equal(state_read(dir, &got), 0);
	assert_memory_equal(&got.started_ms, &s.started_ms, sizeof(s.started_ms));
	assert_string_equal(got.workspace, s.workspace);
	assert_string_equal(got.command, s.command);
	assert_int_equal(got.phase, s.phase);
	assert_int_equal(got.kind, s.kind);
	assert_true(got.stays && !got.terminal);
	assert_int_equal(got.exit_status, 3);
	close(dir);
}

/* Cut anywhere it is rubbish, and never read as something else. */
static void test_cut(void **state)
{
	struct sandbox_state s = example(), got;
	int dir = claim("box");
	struct buf b = BUF_INIT(65536);

	assert_int_equal(write_state(dir, &s), 0);
	assert_int_equal(read_file_at(dir, "state", &b), 0);
	b.len = (size_t)(strstr(b.data, "\nend=") + strlen("\nend=0123456789abcdef\n") - b.data);
	for (size_t n = 0; n < b.len; n += n < 400 ? 7 : 97) {
		assert_int_equal(write_file_atomic(dir, "state", b.data, n, 0600), 0);
		assert_int_equal(state_read(dir, &got), -EBADMSG);
	}
	assert_int_equal(write_file_atomic(dir, "state", b.data, b.len, 0600), 0);
	assert_int_equal(state_read(dir, &got), 0);
	for (size_t n = 0; n < 200; n += 3) {
		b.data[n] ^= 0x10;
		assert_int_equal(write_file_atomic(dir, "state", b.data, b.len, 0600), 0);
		assert_int_equal(state_read(dir, &got), -EBADMSG);
		b.data[n] ^= 0x10;
	}
	buf_free(&b);
	assert_int_equal(write_file_atomic(dir, "state", "\0\0\0", 3, 0600), 0);
	assert_int_equal(state_read(dir, &got), -EBADMSG);
	unlinkat(dir, "state", 0);
	assert_int_equal(state_read(dir, &got), -ENOENT);
	assert_int_equal(symlinkat("/etc/passwd", dir, "state"), 0);
	assert_int_equal(state_read(dir, &got), -EBADMSG);
	close(dir);
}

/* What is written over while it is read is never taken for half of each. */
static void test_written_over(void **state)
{
	enum { ROUNDS = 20000 };
	struct sandbox_state s = example(), got;
	struct state_file f = STATE_FILE_INIT;
	static char longest[SANDBOX_TEXT];
	int dir = claim("box"), status;
	pid_t reader;

	memset(longest, 'x', sizeof(longest) - 1);
	assert_int_equal(state_write(dir, &f, &s), 0);
	reader = fork();
	for (int n = 0; reader == 0 && n < ROUNDS; n++) {
		if (state_look(all, "box", &got) != 1)
			_exit(2);
		if ((got.exit_status == 3) != (got.command[0] == '\n') ||
		    (got.exit_status == 3) != (got.phase == SANDBOX_RUNNING))
			_exit(3);
	}
	if (reader == 0)
		_exit(0);
	for (int n = 0; waitpid(reader, &status, WNOHANG) == 0; n++) {
		const char *const texts[] = { "short", longest };
		struct sandbox_state other = s;

		other.exit_status = 4;
		other.phase = SANDBOX_STOPPING;
		other.command = texts[n / 2 % 2];
		assert_int_equal(state_write(dir, &f, n % 2 ? &s : &other), 0);
		usleep(10); /* a reader that never meets a pause gives up */
	}
	assert_int_equal(status, 0);
	close(f.fd);
	assert_int_equal(state_look(all, "box", &got), 0);
	assert_int_equal(state_look(all, "nobody", &got), -ENOENT);
	close(dir);
}

static void test_names(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"..",
		"-a",
		"_a",
		".a",
		"A",
		"a/b",
		"a b",
		"é",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	};
	char id[SANDBOX_ID_LEN + 1];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(sandbox_name_ok(bad[i]));
		assert_true(claim(bad[i]) < 0);
		assert_int_equal(state_open(all, bad[i]), -ENOENT);
	}
	assert_int_equal(sandbox_make_id(id), 0);
	assert_true(sandbox_name_ok(id));
	assert_int_equal(strlen(id), SANDBOX_ID_LEN);
}

static void test_a_live_one_keeps_its_name(void **state)
{
	struct sandbox_state s = example();
	int dir = claim("box"), other;

	write_state(dir, &s);
	other = state_open(all, "box");
	assert_true(state_is_live(other));
	assert_int_equal(claim("box"), -EEXIST);
	assert_int_equal(state_sweep(all, 0), 0);
	close(other);
	other = state_open(all, "abcdefghij23"); /* by its id */
	assert_true(other >= 0 && state_is_live(other));
	close(other);
	close(dir);
}

static void test_remains_go_and_records_stay(void **state)
{
	struct sandbox_state s = example();
	int dir = claim("box");

	write_state(dir, &s);
	close(dir); /* as a SIGKILL does */
	dir = claim("box");
	assert_true(dir >= 0);
	s.phase = SANDBOX_ENDED;
	write_state(dir, &s);
	close(dir);
	assert_int_equal(claim("box"), -EEXIST);
	dir = claim("other"); /* dies before it has written anything */
	close(dir);
	dir = claim("third");
	write_file_atomic(dir, "state", "rubbish", 7, 0600);
	close(dir);
	assert_int_equal(state_sweep(all, 0), 2);
	dir = state_open(all, "box");
	assert_true(dir >= 0 && !state_is_live(dir));
	assert_int_equal(state_remove(all, "box", dir), 0);
	assert_int_equal(state_open(all, "box"), -ENOENT);
}

/* Many that want one name, while somebody sweeps: one gets it at a time, none fails otherwise. */
static void test_race(void **state)
{
	enum { PROCESSES = 6, ROUNDS = 200 };
	int status, won = 0;

	for (int i = 0; i < PROCESSES; i++) {
		if (fork() > 0)
			continue;
		for (int n = 0; n < ROUNDS; n++) {
			struct sandbox_state s = example(), got;
			int dir = claim("race");

			if (dir < 0 && dir != -EEXIST)
				_exit(2);
			if (dir < 0) {
				state_sweep(all, 0);
				continue;
			}
			s.supervisor = getpid();
			if (write_state(dir, &s) < 0 || state_read(dir, &got) < 0 ||
			    got.supervisor != getpid())
				_exit(3);
			if (n % 2) {
				close(dir); /* killed */
			} else if (state_remove(all, "race", dir) < 0) {
				_exit(4);
			}
		}
		_exit(0);
	}
	while (wait(&status) > 0) {
		assert_int_equal(status, 0);
		won++;
	}
	assert_int_equal(won, PROCESSES);
}

static void test_directory_that_is_not_ours(void **state)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/sandboxes", top);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(state_open_all(top, true), -EPERM);
	assert_int_equal(chmod(path, 0700), 0);
	fd = state_open_all(top, false);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(rename(path, "/tmp/purple-state-moved"), 0);
	assert_int_equal(symlink("/tmp/purple-state-moved", path), 0);
	assert_true(state_open_all(top, true) < 0);
	unlink(path);
	assert_int_equal(rename("/tmp/purple-state-moved", path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_written_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_live_one_keeps_its_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remains_go_and_records_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_that_is_not_ours, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
