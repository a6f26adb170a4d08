/* SPDX-License-Identifier: Apache-2.0 */
/* `purple diff --json`: purple(1) has the schema; members are added, never changed. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cli/diff.h"

static const char *const what_names[] = {
	"content", "mode", "owner", "xattrs", "target", "device", "time",
};

static const char *type_word(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFBLK:
		return "block";
	default:
		return "char";
	}
}

static bool is_utf8(const char *s)
{
	while (*s) {
		size_t n = utf8_len(s);

		if (!n)
			return false;
		s += n;
	}
	return true;
}

void diff_json_member(struct buf *b, const char *key, const char *s)
{
	buf_printf(b, ", \"%s\": ", key);
	buf_json_string(b, s);
	if (is_utf8(s))
		return;
	buf_printf(b, ", \"%s_hex\": \"", key);
	for (; *s; s++)
		buf_printf(b, "%02x", (unsigned char)*s);
	buf_puts(b, "\"");
}

static void put_file(struct buf *b, const char *key, const struct change_file *f)
{
	if (!f->mode)
		return;
	buf_printf(b,
		   ", \"%s\": {\"type\": \"%s\", \"mode\": \"%04o\", \"uid\": %u, \"gid\": %u, "
		   "\"links\": %u",
		   key, type_word(f->mode), f->mode & 07777, f->uid, f->gid, f->nlink);
	if (S_ISREG(f->mode))
		buf_printf(b, ", \"size\": %llu", (unsigned long long)f->size);
	if (!S_ISDIR(f->mode))
		buf_printf(b, ", \"mtime_ns\": %lld", (long long)f->mtime_ns);
	if (f->target)
		diff_json_member(b, "target", f->target);
	buf_puts(b, "}");
}

static void put_change(struct buf *b, const struct change *c)
{
	bool first = true;

	buf_printf(b, "{\"kind\": \"%s\"", change_kind_names[c->kind]);
	diff_json_member(b, "path", c->path);
	buf_puts(b, ", \"what\": [");
	for (unsigned i = 0; i < ARRAY_SIZE(what_names); i++)
		if (c->what & 1U << i) {
			buf_printf(b, "%s\"%s\"", first ? "" : ", ", what_names[i]);
			first = false;
		}
	buf_puts(b, "]");
	put_file(b, "before", &c->before);
	put_file(b, "after", &c->after);
	if (c->renamed_from)
		diff_json_member(b, "renamed_from", c->renamed_from);
	if (c->renamed_from)
		buf_printf(b, ", \"similarity\": %u", c->similarity);
	if (c->renamed_to)
		diff_json_member(b, "renamed_to", c->renamed_to);
	if (c->link_to)
		diff_json_member(b, "link_to", c->link_to);
	if (c->xattrs_count) {
		buf_puts(b, ", \"xattrs\": [");
		for (unsigned i = 0; i < c->xattrs_count; i++) {
			buf_puts(b, i ? ", " : "");
			buf_json_string(b, c->xattrs[i]);
		}
		buf_puts(b, "]");
	}
	if (c->flag) {
		buf_printf(b,
			   ", \"executes_on_host\": {\"kind\": \"%s\", \"why\": ", c->flag->kind);
		buf_json_string(b, c->flag->why);
		buf_puts(b, "}");
	}
	if (c->kind == CHANGE_UNREADABLE) {
		buf_puts(b, ", \"error\": ");
		buf_json_string(b, strerror(c->error));
	}
	buf_puts(b, "}");
}

int diff_json(struct diff *d)
{
	const struct store_meta *m = &d->review->meta;
	struct buf b = BUF_INIT(1 << 20);
	int worst = 0;

	buf_printf(&b, "{\"version\": 1, \"live\": %s, \"created_ns\": %llu",
		   d->review->live ? "true" : "false", (unsigned long long)m->created_ns);
	diff_json_member(&b, "sandbox", m->name);
	diff_json_member(&b, "workspace", m->path);
	buf_puts(&b, ", \"changes\": [");
	for (size_t i = 0; i < d->changes->count && !ferror(d->out); i++) {
		const struct change *c = &d->changes->items[i];

		buf_puts(&b, i ? ",\n" : "\n");
		put_change(&b, c);
		if (b.failed)
			worst = -ENOMEM;
		fwrite(b.data, 1, b.len, d->out);
		buf_free(&b);
		b = BUF_INIT(1 << 20);
		if (c->kind == CHANGE_UNREADABLE)
			worst = -c->error;
	}
	if (b.len)
		fwrite(b.data, 1, b.len, d->out);
	fputs("]}\n", d->out);
	buf_free(&b);
	return worst;
}
