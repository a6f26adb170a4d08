/* SPDX-License-Identifier: Apache-2.0 */
/* `purple diff` for people: patches, --stat and --name-only. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/diff.h"

enum paint { PLAIN, BOLD, RED, GREEN, CYAN, YELLOW };

static void paint(struct diff *d, enum paint p)
{
	static const char *const codes[] = { "",	 "\033[1m",  "\033[31m",
					     "\033[32m", "\033[36m", "\033[1;33m" };

	if (d->colour)
		fputs(p == PLAIN ? "\033[m" : codes[p], d->out);
}

/* A line of our own words: no bytes of a sandbox. */
#define say(d, colour_, ...)                    \
	do {                                    \
		paint(d, colour_);              \
		fprintf((d)->out, __VA_ARGS__); \
		paint(d, PLAIN);                \
		fputc('\n', (d)->out);          \
	} while (0)

void diff_heading(struct diff *d)
{
	const struct store_meta *m = &d->review->meta;

	if (!strchr(m->name, ':') || !d->changes->count)
		return;
	paint(d, BOLD);
	fputs("# ", d->out);
	diff_put_path(d, "", m->path);
	fprintf(d->out, " (%s)", m->name);
	paint(d, PLAIN);
	fputc('\n', d->out);
}

/* The character of @n bytes at @s. */
static unsigned code_point(const char *s, size_t n)
{
	static const unsigned char lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	unsigned c = (unsigned char)s[0] & lead[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)s[i] & 0x3fU);
	return c;
}

/*
 * Characters that turn text around or are not seen: what is read is not what is run, or what
 * an agent obeys. Unicode's Default_Ignorable_Code_Point and Bidi_Control, but for U+FE0F,
 * which many a picture ends with; and the two that separate lines.
 */
static bool deceives(const char *s, size_t n)
{
	static const struct {
		unsigned first, last;
	} ranges[] = {
		{ 0xad, 0xad },	      { 0x34f, 0x34f },	    { 0x61c, 0x61c },
		{ 0x115f, 0x1160 },   { 0x17b4, 0x17b5 },   { 0x180b, 0x180f },
		{ 0x200b, 0x200f },   { 0x2028, 0x202e },   { 0x2060, 0x206f },
		{ 0x3164, 0x3164 },   { 0xfe00, 0xfe0e },   { 0xfeff, 0xfeff },
		{ 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb },   { 0x1bca0, 0x1bca3 },
		{ 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
	};
	unsigned c = n < 2 ? 0 : code_point(s, n);

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

void diff_put_text(struct diff *d, const char *text, size_t n)
{
	char line[16], out[5];
	size_t took;

	if (d->raw) {
		fwrite(text, 1, n, d->out);
		return;
	}
	for (size_t i = 0; i < n; i += took) {
		/* A copy with an end: the text need not have one. */
		size_t most = MIN(n - i, (size_t)4), wide;

		memcpy(line, text + i, most);
		line[most] = '\0';
		wide = utf8_len(line);
		took = 1;
		if (line[0] == '\t' || (line[0] >= ' ' && line[0] < 0x7f)) {
			fputc(line[0], d->out);
		} else if (line[0] == '\0') {
			fputs("\\x00", d->out);
		} else if (deceives(line, wide)) {
			took = wide;
			fprintf(d->out, wide < 4 ? "\\u%04x" : "\\U%08x", code_point(line, wide));
		} else {
			took = str_printable(line, out);
			fputs(out, d->out);
		}
	}
}

static bool needs_quotes(const char *path)
{
	for (const char *s = path; *s;) {
		size_t n = utf8_len(s);

		if (n == 0 || *s == '"' || *s == '\\' || (unsigned char)*s < ' ' || *s == 0x7f ||
		    (n == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0) ||
		    deceives(s, n))
			return true;
		s += n;
	}
	return false;
}

void diff_put_path(struct diff *d, const char *prefix, const char *path)
{
	bool quote = needs_quotes(path);

	fprintf(d->out, "%s%s", quote ? "\"" : "", prefix);
	for (const char *s = path; *s; s++) {
		if (quote && (*s == '"' || *s == '\\'))
			fputc('\\', d->out);
		if (!quote || (*s >= ' ' && *s < 0x7f))
			fputc(*s, d->out);
		else
			fprintf(d->out, "\\%03o", (unsigned char)*s);
	}
	if (quote)
		fputc('"', d->out);
}

static void say_path(struct diff *d, enum paint colour, const char *words, const char *prefix,
		     const char *path)
{
	paint(d, colour);
	fputs(words, d->out);
	diff_put_path(d, prefix, path);
	paint(d, PLAIN);
	fputc('\n', d->out);
}

static const char *type_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "link";
	case S_IFIFO:
		return "FIFO";
	case S_IFSOCK:
		return "socket";
	default:
		return "device";
	}
}

static bool has_text(const struct change_file *f)
{
	return S_ISREG(f->mode) || S_ISLNK(f->mode);
}

int diff_read_side(struct diff *d, const struct change *c, bool after, struct buf *b)
{
	const struct change_file *f = after ? &c->after : &c->before;
	_cleanup_close_ int fd = -1;

	if (!has_text(f))
		return 0;
	if (f->target) {
		buf_puts(b, f->target);
		return 0;
	}
	if (f->size > PATCH_SIZE_MAX)
		return -EFBIG;
	fd = after ? change_open_after(c, &d->review->stack)
		   : change_open_before(c, &d->review->stack);
	return fd < 0 ? fd : read_all(fd, b);
}

/* The host's, of one that has another name now and is not quite the same. */
static int read_old_name(struct diff *d, const struct change *c, struct buf *b)
{
	_cleanup_close_ int fd = layer_open(d->review->stack.host, c->renamed_from);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -ESTALE;
	return st.st_size > PATCH_SIZE_MAX ? -EFBIG : read_all(fd, b);
}

struct printing {
	struct diff *d;
	const struct change *c;
	bool headed;
};

static void put_side(struct printing *p, const char *mark, bool there, const char *prefix,
		     const char *path)
{
	if (there)
		say_path(p->d, BOLD, mark, prefix, path);
	else
		say(p->d, BOLD, "%s/dev/null", mark);
}

void diff_put_line(struct diff *d, char origin, const char *text, size_t n)
{
	bool newline = n > 0 && text[n - 1] == '\n';
	enum paint colour = origin == 'H' ? CYAN : origin == '+' ? GREEN : RED;

	if (origin == '\\') {
		fputs("\\ No newline at end of file\n", d->out);
		return;
	}
	if (origin != ' ')
		paint(d, colour);
	if (origin != 'H')
		fputc(origin, d->out);
	diff_put_text(d, text, newline ? n - 1 : n);
	if (origin != ' ')
		paint(d, PLAIN);
	fputc('\n', d->out);
}

static int print_line(void *data, char origin, const char *text, size_t n)
{
	struct printing *p = data;

	if (!p->headed) {
		p->headed = true;
		put_side(p, "--- ", p->c->renamed_from || has_text(&p->c->before), "a/",
			 p->c->renamed_from ? p->c->renamed_from : p->c->path);
		put_side(p, "+++ ", has_text(&p->c->after), "b/", p->c->path);
	}
	diff_put_line(p->d, origin, text, n);
	return ferror(p->d->out);
}

/* @line: print; NULL: only count. */
static int compare(struct diff *d, const struct change *c, bool print, struct patch_counts *counts)
{
	_cleanup_buf_ struct buf a = BUF_INIT(PATCH_SIZE_MAX), b = BUF_INIT(PATCH_SIZE_MAX);
	struct printing p = { .d = d, .c = c };
	int r;

	*counts = (struct patch_counts){ 0 };
	if (c->similarity == 100 || c->renamed_to ||
	    !(c->what & (CHANGE_CONTENT | CHANGE_TARGET) || c->kind == CHANGE_DELETED ||
	      c->after.target || c->before.target))
		return 0;
	r = c->renamed_from ? read_old_name(d, c, &a) : diff_read_side(d, c, false, &a);
	if (r == 0)
		r = diff_read_side(d, c, true, &b);
	if (r == -EFBIG) {
		counts->binary = true;
		return 0;
	}
	if (r < 0)
		return r;
	return patch_lines(&a, &b, d->context, print ? print_line : NULL, &p, counts);
}

int diff_count(struct diff *d, const struct change *c, struct patch_counts *counts)
{
	return compare(d, c, false, counts);
}

static void put_xattrs(struct diff *d, const struct change *c)
{
	for (unsigned i = 0; i < c->xattrs_count; i++)
		say_path(d, BOLD, "xattr ", "", c->xattrs[i]);
}

static void put_modes(struct diff *d, const struct change *c)
{
	if (c->kind == CHANGE_ADDED)
		say(d, BOLD, "new %s mode %06o", type_name(c->after.mode), c->after.mode);
	else if (c->kind == CHANGE_DELETED)
		say(d, BOLD, "deleted %s mode %06o", type_name(c->before.mode), c->before.mode);
	else if (c->before.mode != c->after.mode && c->kind != CHANGE_UNREADABLE) {
		say(d, BOLD, "old mode %06o", c->before.mode);
		say(d, BOLD, "new mode %06o", c->after.mode);
	}
	if (c->what & CHANGE_OWNER)
		say(d, BOLD, "owner %u:%u -> %u:%u", c->before.uid, c->before.gid, c->after.uid,
		    c->after.gid);
	put_xattrs(d, c);
}

/* No rights but what the caller's own mkdir(1) would give? The group is none of the command's. */
static bool is_plain_directory(uint32_t mode)
{
	mode_t mask = umask(077);

	umask(mask);
	return (mode & 0700) == 0700 && !(mode & (S_ISUID | S_ISVTX | mask));
}

bool diff_goes_without_saying(const struct changes *all, const struct change *c)
{
	size_t n = strlen(c->path);

	/* What is in it need not be the next: "a-b" stands between "a" and "a/b". */
	if (c->kind != CHANGE_ADDED || !S_ISDIR(c->after.mode) || c->flag || c->xattrs_count ||
	    !is_plain_directory(c->after.mode))
		return false;
	for (const struct change *o = c + 1; o < all->items + all->count; o++) {
		if (strncmp(o->path, c->path, n) != 0)
			return false;
		if (o->path[n] == '/')
			return true;
	}
	return false;
}

int diff_put_change(struct diff *d, const struct change *c, bool content)
{
	struct patch_counts counts;
	int r;

	if (c->flag) {
		say(d, YELLOW, "! executes-on-host (%s): %s", c->flag->kind, c->flag->why);
	}
	paint(d, BOLD);
	fputs("diff --git ", d->out);
	diff_put_path(d, "a/", c->renamed_from ? c->renamed_from : c->path);
	fputc(' ', d->out);
	diff_put_path(d, "b/", c->path);
	paint(d, PLAIN);
	fputc('\n', d->out);
	if (c->kind == CHANGE_UNREADABLE) {
		say(d, RED, "cannot be read: %s", strerror(c->error));
		return -c->error;
	}
	if (c->renamed_from) {
		say(d, BOLD, "similarity index %u%%", c->similarity);
		say_path(d, BOLD, "rename from ", "", c->renamed_from);
		say_path(d, BOLD, "rename to ", "", c->path);
		/* It need not have those of the old name. */
		say(d, BOLD, "mode %06o", c->after.mode);
		put_xattrs(d, c);
	} else {
		put_modes(d, c);
	}
	if (c->renamed_to)
		say_path(d, BOLD, "renamed to ", "", c->renamed_to);
	if (c->link_to)
		say_path(d, BOLD, "hard link to ", "", c->link_to);
	if (!content)
		return 0;
	r = compare(d, c, true, &counts);
	if (r < 0)
		say(d, RED, "cannot be read: %s", strerror(-r));
	else if (counts.binary)
		say(d, PLAIN, "Binary or large: %llu bytes, now %llu",
		    (unsigned long long)c->before.size, (unsigned long long)c->after.size);
	return r;
}

int diff_patch(struct diff *d)
{
	int worst = 0;

	for (size_t i = 0; i < d->changes->count && !ferror(d->out); i++) {
		const struct change *c = &d->changes->items[i];
		int r = diff_goes_without_saying(d->changes, c) ? 0 : diff_put_change(d, c, true);

		worst = r < 0 ? r : worst;
	}
	return worst;
}

static int put_stat(struct diff *d, const struct change *c, struct patch_counts *total)
{
	struct patch_counts counts = { 0 };
	int r = c->kind == CHANGE_UNREADABLE ? -c->error : compare(d, c, false, &counts);

	fputc(' ', d->out);
	if (c->renamed_from) {
		diff_put_path(d, "", c->renamed_from);
		fputs(" => ", d->out);
	}
	diff_put_path(d, "", c->path);
	fprintf(d->out, "%s | ", S_ISDIR(c->after.mode | c->before.mode) ? "/" : "");
	if (r < 0)
		fprintf(d->out, "cannot be read: %s", strerror(-r));
	else if (counts.binary)
		fprintf(d->out, "%s, binary or large: %llu bytes, now %llu",
			change_kind_names[c->kind], (unsigned long long)c->before.size,
			(unsigned long long)c->after.size);
	else
		fprintf(d->out, "%s +%zu -%zu",
			c->renamed_from ? "renamed"
			: c->renamed_to ? "renamed away"
					: change_kind_names[c->kind],
			counts.added, counts.removed);
	if (c->flag) {
		paint(d, YELLOW);
		fprintf(d->out, " ! executes-on-host (%s)", c->flag->kind);
		paint(d, PLAIN);
	}
	fputc('\n', d->out);
	total->added += counts.added;
	total->removed += counts.removed;
	return r;
}

int diff_stat(struct diff *d)
{
	struct patch_counts total = { 0 };
	size_t paths = 0, flagged = 0;
	int worst = 0;

	for (size_t i = 0; i < d->changes->count && !ferror(d->out); i++) {
		const struct change *c = &d->changes->items[i];
		int r;

		if (diff_goes_without_saying(d->changes, c))
			continue;
		r = put_stat(d, c, &total);
		worst = r < 0 ? r : worst;
		paths++;
		flagged += c->flag != NULL;
	}
	if (paths)
		fprintf(d->out, " %zu path%s changed, %zu line%s added, %zu removed; %zu flagged\n",
			paths, paths == 1 ? "" : "s", total.added, total.added == 1 ? "" : "s",
			total.removed, flagged);
	return worst;
}

int diff_names(struct diff *d, bool zero)
{
	int worst = 0;

	for (size_t i = 0; i < d->changes->count && !ferror(d->out); i++) {
		const struct change *c = &d->changes->items[i];

		if (zero) {
			fputs(c->path, d->out);
			fputc('\0', d->out);
		} else {
			diff_put_path(d, "", c->path);
			fputc('\n', d->out);
		}
		worst = c->kind == CHANGE_UNREADABLE ? -c->error : worst;
	}
	return worst;
}
