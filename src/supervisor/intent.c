/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent says that it will do, as `purple intent` tells it: into the trail, in order. */
#include <errno.h>
#include <string.h>

#include "supervisor/internal.h"

/* "kind:pattern", of small letters and of anything. */
static bool is_expectation(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz");

	return n > 0 && s[n] == ':' && s[n + 1] != '\0';
}

static int check(const struct supervisor *s, const char *text, size_t len, struct err *e)
{
	const char *stage = s->state.name;

	if (len < 2 || text[len - 1] != '\0' || text[0] == '\0')
		return err_set(e, EPROTO, stage, "an intent is a text, and what to expect");
	for (size_t at = strlen(text) + 1; at < len; at += strlen(text + at) + 1)
		if (!is_expectation(text + at))
			return err_set(e, EPROTO, stage, "no expectation: %.100s", text + at);
	if (s->events.on)
		return 0;
	err_set(e, ENOENT, stage, "no audit trail is written here, which an intent goes to");
	err_remedy(e, "start the sandbox with --audit");
	return -ENOENT;
}

int intent_take(struct supervisor *s, int n, const char *text, size_t len, struct err *e)
{
	struct event ev = { .type = EV_INTENT };
	int r = check(s, text, len, e);
	size_t first;

	if (r < 0)
		return r;
	first = strlen(text) + 1;
	event_text(&ev, EF_TEXT, text);
	if (len > first)
		event_list(&ev, EF_EXPECT, text + first, len - first);
	event_number(&ev, EF_UID, s->clients[n].peer.uid);
	event_number(&ev, EF_PID, (uint64_t)s->clients[n].peer.pid);
	supervisor_emit(s, &ev);
	events_flush(s); /* so that whoever is answered can read it */
	return 0;
}
