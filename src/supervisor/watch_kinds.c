/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that is refused the same a hundred thousand times in a second is told of
 * WATCH_SINGLY times, and then once a second with a count. A kind is one call of one
 * program, or one way to open one path. When there are more kinds than places, the one
 * that has been quiet longest has its count told and makes room.
 */
#include <stdio.h>
#include <string.h>

#include "base/siphash.h"
#include "base/str.h"
#include "plan/call_names.h"
#include "supervisor/watch_internal.h"
#include "sys/files.h"

static void emit_connection(struct supervisor *s, const struct sighting *t, uint64_t count)
{
	struct event ev = { .type = t->type, .time_ns = t->time_ns };

	event_text(&ev, EF_HOST, t->path);
	event_text(&ev, EF_ADDRESS, t->path);
	event_number(&ev, EF_PORT, (uint64_t)t->nr);
	event_text(&ev, EF_PROTO, t->access);
	event_text(&ev, EF_REASON, "isolated");
	if (count > 1)
		event_number(&ev, EF_COUNT, count);
	supervisor_emit(s, &ev);
}

static void emit(struct supervisor *s, const struct sighting *t, uint64_t count)
{
	struct event ev = { .type = t->type, .time_ns = t->time_ns };
	char number[32], error[ERR_NAME];

	if (t->type == EV_NET_DENIED) {
		emit_connection(s, t, count);
		return;
	}
	event_number(&ev, EF_PID, (uint64_t)t->pid);
	event_text(&ev, EF_PATH, t->path[0] ? t->path : NULL);
	if (t->type == EV_SYSCALL_DENIED) {
		const char *name = call_name(t->nr);

		snprintf(number, sizeof(number), "%d", t->nr);
		event_text(&ev, EF_SYSCALL, name ? name : number);
		event_hex(&ev, EF_ARGS, t->args, ARRAY_SIZE(t->args));
	} else {
		event_text(&ev, EF_ACCESS, t->access);
		event_text(&ev, EF_SOURCE, "seccomp");
	}
	if (t->type == EV_FILE_DENIED)
		event_text(&ev, EF_LAYER, t->layer);
	if (t->type == EV_SYSCALL_DENIED && t->access)
		event_text(&ev, EF_ERROR, t->access);
	else if (t->error)
		event_text(&ev, EF_ERROR, err_name(t->error, error));
	if (count > 1)
		event_number(&ev, EF_COUNT, count);
	supervisor_emit(s, &ev);
}

/* The rest of its window, if it has any. */
static void emit_more(struct supervisor *s, struct kind *k)
{
	if (k->more == 0)
		return;
	k->last.path = k->path;
	emit(s, &k->last, k->more);
	k->more = 0;
}

static const enum event_type untold_types[] = { EV_SYSCALL_DENIED, EV_FILE_DENIED, EV_NET_DENIED };

static uint64_t *untold_of(enum event_type type)
{
	return &watch.untold[type == EV_NET_DENIED ? 2 : type == EV_FILE_DENIED];
}

static void emit_untold(struct supervisor *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(untold_types); i++) {
		struct event ev = { .type = untold_types[i] };

		if (watch.untold[i] == 0)
			continue;
		event_number(&ev, EF_COUNT, watch.untold[i]);
		event_text(&ev, EF_RULE, "more than are told of one by one");
		supervisor_emit(s, &ev);
		watch.untold[i] = 0;
	}
}

/*
 * Keyed: who is observed chooses the paths, and one that could be made to have another's key
 * would be counted as that and never be named.
 */
static uint64_t key_of(const struct sighting *t)
{
	const size_t len = strlen(t->path);
	uint64_t whole[2], key;

	if (!watch.keyed) {
		sys_call(SYS_getrandom, watch.key, sizeof(watch.key), 0);
		watch.keyed = true;
	}
	whole[0] = (uint64_t)t->type | (uint64_t)(uint32_t)t->nr << 8 |
		   (t->access ? (uint64_t)(unsigned char)t->access[0] << 40 : 0);
	whole[1] = siphash(watch.key, t->path, len);
	key = siphash(watch.key, whole, sizeof(whole));
	return key ? key : 1;
}

/* @make: one that is not there takes the place of another; else NULL. */
static struct kind *find(struct supervisor *s, const struct sighting *t, uint64_t now, bool make)
{
	uint64_t key = key_of(t);
	struct kind *oldest = &watch.kinds[0];

	for (size_t i = 0; i < watch.kinds_top; i++) {
		struct kind *k = &watch.kinds[i];

		if (k->key == key)
			return k;
		if (oldest->key && (!k->key || k->since < oldest->since))
			oldest = k;
	}
	if (!make)
		return NULL;
	if ((oldest->key || watch.kinds_top == 0) && watch.kinds_top < WATCH_KINDS)
		oldest = &watch.kinds[watch.kinds_top++];
	emit_more(s, oldest);
	*oldest = (struct kind){ .key = key, .since = now };
	return oldest;
}

/* Paths can differ each time; then only so many refusals a second are told of at all. */
static bool is_too_much(const struct sighting *t, uint64_t now)
{
	if (!t->error)
		return false;
	if (now >= watch.denied_since + WATCH_WINDOW_MS) {
		watch.denied_since = now;
		watch.denied = 0;
	}
	return watch.denied++ >= WATCH_DENIED_MAX;
}

void watch_tell(struct supervisor *s, const struct sighting *t)
{
	uint64_t now = supervisor_now();
	bool too_much = is_too_much(t, now);
	struct kind *k = find(s, t, now, !too_much);

	if (!k) {
		(*untold_of(t->type))++;
		watch_at(watch.denied_since + WATCH_WINDOW_MS);
		return;
	}
	if (now >= k->since + WATCH_WINDOW_MS) {
		/* It went on through the last window: it goes on being counted. */
		k->told = k->more ? WATCH_SINGLY : 0;
		emit_more(s, k);
		k->since = now;
	}
	if (k->told < WATCH_SINGLY && !too_much) {
		k->told++;
		emit(s, t, 1);
		return;
	}
	if (k->more == 0)
		watch_at(k->since + WATCH_WINDOW_MS);
	k->more++;
	k->last = *t;
	str_copy(k->path, sizeof(k->path), t->path);
}

void watch_kinds_due(struct supervisor *s, uint64_t now)
{
	if (!now || now >= watch.denied_since + WATCH_WINDOW_MS)
		emit_untold(s);
	else if (watch.untold[0] || watch.untold[1] || watch.untold[2])
		watch_at(watch.denied_since + WATCH_WINDOW_MS);
	for (size_t i = 0; i < watch.kinds_top; i++) {
		struct kind *k = &watch.kinds[i];

		if (!k->key || (now && now < k->since + WATCH_WINDOW_MS)) {
			if (k->key && k->more)
				watch_at(k->since + WATCH_WINDOW_MS);
			continue;
		}
		k->told = k->more ? WATCH_SINGLY : 0;
		emit_more(s, k);
		if (k->told)
			k->since = now;
		else
			k->key = 0;
	}
}
