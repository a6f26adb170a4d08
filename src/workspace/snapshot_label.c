/* SPDX-License-Identifier: Apache-2.0 */
/* What of snapshots the supervisor needs, too. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/snapshot.h"

bool snapshot_label_ok(const char *label)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._:+@-";
	size_t n = strspn(label, letters);

	return n > 0 && n <= STORE_LABEL_MAX && label[n] == '\0' && !strchr("._:+@-", label[0]);
}

int snapshot_check_label(const struct store_meta *m, const char *label, struct err *e)
{
	if (!snapshot_label_ok(label)) {
		err_set(e, EINVAL, "snapshot", "that is no label of a snapshot");
		err_remedy(e,
			   "letters, digits and . _ : + @ -, the first one a letter or a digit, "
			   "at most %d",
			   STORE_LABEL_MAX);
		return -EINVAL;
	}
	if (!store_labelled(m, label))
		return 0;
	err_set(e, EEXIST, "snapshot", "%s has a snapshot %s already", m->name, label);
	err_remedy(e, "use another label; `purple snapshots %s` lists them", m->name);
	return -EEXIST;
}

void snapshot_new_label(const struct store_meta *m, char label[STORE_LABEL_MAX + 1])
{
	uint64_t highest = 0, n;

	for (unsigned i = 0; i < m->layers_count; i++) {
		const char *s = m->layers[i].label;

		/* Not those that people have made of a date. */
		if (s[0] && strspn(s, "0123456789") == strlen(s) && parse_u64(s, &n) == 0 &&
		    n < 1000000)
			highest = MAX(highest, n);
	}
	snprintf(label, STORE_LABEL_MAX + 1, "%llu", (unsigned long long)highest + 1);
}

void snapshot_label(struct store_layer *l, const char *label)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	l->created_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	str_copy(l->label, sizeof(l->label), label);
}

int snapshot_next(const struct store_meta *m, uint32_t *number)
{
	*number = m->layers_count ? m->layers[m->layers_count - 1].number + 1 : 1;
	return m->layers_count == STORE_LAYERS_MAX ? -ENOSPC : 0;
}

int snapshot_add_copy(int dir, struct store_meta *m, uint32_t number, const char *label)
{
	const struct store_layer *top = store_layer(m, m->top);
	struct store_layer *l = &m->layers[m->layers_count];
	uint32_t next;
	int r = snapshot_next(m, &next);

	if (r < 0)
		return r;
	if (!top || number != next)
		return -ESTALE;
	*l = (struct store_layer){ .number = number, .parent = top->parent };
	snapshot_label(l, label);
	m->layers_count++;
	r = store_open_layer(dir, m, number);
	if (r < 0)
		return r;
	sys_close(r);
	return store_write(dir, m);
}
