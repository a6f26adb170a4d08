/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-net says while it lives, and what is said of its death. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "policy/netrule.h"
#include "supervisor/internal.h"

static void rule_text(const struct supervisor *s, unsigned number, char *ret, size_t size)
{
	const struct net_rules now = network_rules(s);

	ret[0] = '\0';
	if (number >= 1 && number <= now.block_count)
		net_rule_format(&now.block[number - 1], ret, size);
}

void network_denied(struct supervisor *s, const struct net_message *m)
{
	char rule[DENIAL_RULE];

	rule_text(s, m->verdict == NET_BLOCKED ? m->rule : 0, rule, sizeof(rule));
	denials_add(&s->denials, m, rule);
	s->out->denials = &s->denials;
}

/*
 * Its end of the socket is closed after its exit status is set (kernel, do_exit()),
 * so a SIGKILL only ends one that has closed it and lives on.
 */
void network_bury(struct supervisor *s)
{
	char *why = s->out->network_why;
	int status = 0, r = -ECHILD;

	if (s->net_pid > 0) {
		kill(s->net_pid, SIGKILL);
		do
			r = waitpid(s->net_pid, &status, 0);
		while (r < 0 && errno == EINTR);
		s->net_pid = 0;
	}
	if (s->net_ends)
		return;
	s->out->network_died = s->net_ready;
	if (r > 0 && WIFSIGNALED(status))
		snprintf(why, sizeof(s->out->network_why), "killed by signal %d", WTERMSIG(status));
	else if (s->net_error[0])
		snprintf(why, sizeof(s->out->network_why), "%.140s", s->net_error);
	else
		snprintf(why, sizeof(s->out->network_why), "it exited with status %d",
			 r > 0 ? WEXITSTATUS(status) : -1);
	network_abandon(s);
	if (s->net_ready) {
		char line[256];

		snprintf(line, sizeof(line), "purple-net died (%s); nothing outside can be reached",
			 why);
		output_note(s, line);
	}
}

void network_log(struct supervisor *s)
{
	char line[DENIAL_LINE];

	if (!s->out->denials)
		return;
	for (uint32_t i = 0; i < s->denials.count; i++) {
		denial_line(&s->denials.items[i], line);
		output_note(s, line);
	}
	if (s->denials.others) {
		snprintf(line, sizeof(line), "%llu more were refused",
			 (unsigned long long)s->denials.others);
		output_note(s, line);
	}
}
