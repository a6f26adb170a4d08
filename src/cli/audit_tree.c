/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of an account, in the order of their tree. See audit_report.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/audit_report.h"

enum { DEPTH_MAX = 64 };

static void pid_text(uint64_t pid, char ret[24])
{
	snprintf(ret, 24, "%llu", (unsigned long long)pid);
}

static void on_exit_of(struct report *p, const struct trail_line *l, const char *pid)
{
	json_t *item = json_object_get(json_object_get(p->keys, "processes"), pid);
	char failed[40];

	if (!item)
		return;
	json_object_set_new(item, "ended", json_string(l->time));
	report_copy(item, l, EF_STATUS);
	report_copy(item, l, EF_SIGNAL);
	/* The number may come again, for another. */
	snprintf(failed, sizeof(failed), "failed %s", pid);
	json_object_del(json_object_get(p->keys, "processes"), pid);
	json_object_del(json_object_get(p->keys, "processes"), failed);
}

void report_add_process(struct report *p, const struct trail_line *l)
{
	static const enum event_field kept[] = {
		EF_PID, EF_PPID, EF_PATH, EF_ARGV, EF_CWD, EF_ERROR
	};
	json_t *keys = json_object_get(p->keys, "processes"), *item;
	const json_t *before, *parent;
	char pid[24], ppid[24], failed[40];
	bool fresh, again = false;
	size_t count;

	pid_text(line_number(l, EF_PID), pid);
	pid_text(line_number(l, EF_PPID), ppid);
	if (l->known == EV_PROCESS_EXIT)
		return on_exit_of(p, l, pid);
	/* One search along PATH is one attempt. */
	snprintf(failed, sizeof(failed), "failed %s", pid);
	item = json_object_get(keys, failed);
	if (item && json_equal(json_object_get(item, "argv"), json_object_get(l->fields, "argv"))) {
		json_object_del(item, "error");
		again = true;
	} else {
		item = report_item(p, "processes", NULL, &fresh);
	}
	if (!item)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		report_copy(item, l, kept[i]);
	json_object_set_new(item, "started", json_string(l->time));
	/* A second exec of the same process stands below the first. */
	before = json_object_get(keys, pid);
	parent = before ? before : json_object_get(keys, ppid);
	if (parent)
		json_object_set(item, "above", json_object_get(parent, "at"));
	if (before)
		json_object_set_new(item, "in_place", json_true());
	count = json_array_size(json_object_get(p->root, "processes"));
	if (!again)
		json_object_set_new(item, "at", json_integer((json_int_t)count));
	if (report_is_search(l)) {
		json_object_set(keys, failed, item);
		return;
	}
	json_object_del(keys, failed);
	if (!line_text(l, EF_ERROR))
		json_object_set(keys, pid, item);
}

struct place {
	size_t first, last, next; /* 1 based; 0: none */
};

/* Put item @n of @list and all below it into @sorted, without recursion. */
static void walk(const json_t *list, const struct place *places, size_t root, json_t *sorted)
{
	size_t stack[DEPTH_MAX], n = root, depth = 0;

	while (n > 0) {
		json_t *item = json_array_get(list, n - 1);

		json_object_set_new(item, "depth", json_integer((json_int_t)depth));
		json_array_append(sorted, item);
		if (places[n].first > 0 && depth < DEPTH_MAX - 1) {
			stack[depth++] = n;
			n = places[n].first;
			continue;
		}
		while (n != root && places[n].next == 0 && depth > 0)
			n = stack[--depth];
		n = n == root ? 0 : places[n].next;
	}
}

/* What was below is known by its number in the order of time; now it gets a depth. */
void report_end_processes(struct report *p)
{
	json_t *list = json_object_get(p->root, "processes"), *sorted = json_array(), *item;
	size_t count = json_array_size(list), depth, i;
	struct place *places = calloc(count + 1, sizeof(*places));
	unsigned char *depths = calloc(count + 1, 1);

	if (!places || !depths || !sorted) {
		free(places);
		free(depths);
		json_decref(sorted);
		return;
	}
	for (i = 1; i <= count; i++) {
		size_t above = (size_t)json_integer_value(
			json_object_get(json_array_get(list, i - 1), "above"));

		/* Only ever below something that came before: no ring. Too deep: beside it. */
		if (above >= i)
			above = 0;
		if (above > 0 && depths[above] >= DEPTH_MAX - 2)
			above = (size_t)json_integer_value(
				json_object_get(json_array_get(list, above - 1), "above"));
		depth = above > 0 ? depths[above] + 1U : 0;
		depths[i] = (unsigned char)MIN(depth, (size_t)DEPTH_MAX - 1);
		if (above > 0)
			json_object_set_new(json_array_get(list, i - 1), "above",
					    json_integer((json_int_t)above));
		if (places[above].last > 0)
			places[places[above].last].next = i;
		else
			places[above].first = i;
		places[above].last = i;
	}
	for (size_t root = places[0].first; root > 0; root = places[root].next)
		walk(list, places, root, sorted);
	json_array_foreach(sorted, i, item)
	{
		json_object_del(item, "at");
		json_object_del(item, "above");
	}
	json_object_set_new(p->root, "processes", sorted);
	free(places);
	free(depths);
}
