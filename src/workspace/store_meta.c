/* SPDX-License-Identifier: Apache-2.0 */
/* The meta file: one line a field, one a layer, and a checksum. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/percent.h"
#include "base/sha256.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/internal.h"
#include "workspace/store.h"

const char *const store_mode_names[STORE_MODES] = { "review", "scratch" };
const char *const store_form_names[STORE_FORMS] = { "overlay", "copy" };

/* A layer's line has at most 144 bytes; a path's byte becomes three. */
enum { META_MAX = PATH_MAX * 3 + STORE_LAYERS_MAX * 144 + 2048, SUM_LEN = SHA256_SIZE * 2 };
#define SUM_KEY "sum="

enum field_kind { TEXT, NUMBER32, NUMBER64, MODE, FORM };
struct field {
	const char *key;
	enum field_kind kind;
	size_t off, size;
};

static const struct field fields[] = {
#define FIELD(key, kind, member)                                 \
	{                                                        \
		key, kind, offsetof(struct store_meta, member),  \
			sizeof(((struct store_meta *)0)->member) \
	}
	FIELD("name", TEXT, name),	    FIELD("id", TEXT, id),
	FIELD("mode", MODE, mode),	    FIELD("form", FORM, form),
	FIELD("path", TEXT, path),	    FIELD("dev", NUMBER64, dev),
	FIELD("ino", NUMBER64, ino),	    FIELD("created_ns", NUMBER64, created_ns),
	FIELD("uid", NUMBER32, uid),	    FIELD("gid", NUMBER32, gid),
	FIELD("bits", NUMBER32, mode_bits), FIELD("top", NUMBER32, top),
};

/* Of a store that was resumed or forked. */
static const struct field more_fields[] = {
	FIELD("tree", TEXT, tree),
	FIELD("base", NUMBER64, base_ns),
#undef FIELD
};

static size_t put_escaped(char *to, const char *s)
{
	char *at = to;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c > ' ' && c < 0x7f && c != '%')
			*at++ = *s;
		else
			at += snprintf(at, 4, "%%%02X", c);
	}
	return (size_t)(at - to);
}

/* What all that is not a text fits in: a key and a number, a layer's line. */
enum { PUT_ROOM = 256 };

static size_t put_field(char *to, const struct field *f, const struct store_meta *m)
{
	const char *value = (const char *)m + f->off;
	size_t n = (size_t)snprintf(to, PUT_ROOM, "%s=", f->key);
	uint64_t number = 0;
	uint32_t word = 0;

	memcpy(f->kind == NUMBER64 ? (void *)&number : &word, value, f->kind == TEXT ? 0 : f->size);
	if (f->kind != NUMBER64)
		number = word;
	if (f->kind == TEXT)
		n += put_escaped(to + n, value);
	else if (f->kind == MODE || f->kind == FORM)
		n += (size_t)snprintf(to + n, PUT_ROOM, "%s",
				      f->kind == MODE ? store_mode_names[number]
						      : store_form_names[number]);
	else
		n += (size_t)snprintf(to + n, PUT_ROOM, "%llu", (unsigned long long)number);
	to[n++] = '\n';
	return n;
}

static void sum_of(const char *text, size_t n, char hex[SUM_LEN + 1])
{
	uint8_t sum[SHA256_SIZE];
	struct sha256 s;

	sha256_init(&s);
	sha256_add(&s, text, n);
	sha256_done(&s, sum);
	hex_encode(sum, sizeof(sum), hex);
}

/* "N PARENT LABEL", and of a snapshot " TIME"; of a fork's "TREE N" behind that. */
static size_t put_layer(char *to, const struct store_layer *l)
{
	size_t n = (size_t)snprintf(to, PUT_ROOM, "layer=%u %u %s", l->number, l->parent, l->label);

	if (l->created_ns || l->tree[0])
		n += (size_t)snprintf(to + n, PUT_ROOM, " %llu", (unsigned long long)l->created_ns);
	if (l->tree[0])
		n += (size_t)snprintf(to + n, PUT_ROOM, " %s %u", l->tree, l->tree_number);
	to[n++] = '\n';
	return n;
}

static size_t to_text(const struct store_meta *m, char text[META_MAX])
{
	char hex[SUM_LEN + 1];
	size_t n = (size_t)snprintf(text, PUT_ROOM, "purple-workspace=%d\n", STORE_VERSION);

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		n += put_field(text + n, &fields[i], m);
	if (m->tree[0] || m->base_ns)
		for (size_t i = 0; i < ARRAY_SIZE(more_fields); i++)
			n += put_field(text + n, &more_fields[i], m);
	for (unsigned i = 0; i < m->layers_count; i++)
		n += put_layer(text + n, &m->layers[i]);
	sum_of(text, n, hex);
	return n + (size_t)snprintf(text + n, PUT_ROOM, SUM_KEY "%s\n", hex);
}

static int put(int dir, const struct store_meta *m, bool sync)
{
	static _cold_data_ char text[META_MAX];
	size_t n = to_text(m, text);
	long wrote;
	int fd, r;

	fd = sys_openat(dir, STORE_META ".new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fd;
	wrote = sys_write(fd, text, n);
	r = wrote < 0 ? (int)wrote : (size_t)wrote != n ? -ENOSPC : 0;
	/* So that a power failure leaves the old one or this. */
	if (r == 0 && sync)
		r = (int)sys_call(SYS_fdatasync, fd);
	sys_close(fd);
	if (r == 0 && renameat(dir, STORE_META ".new", dir, STORE_META) < 0)
		r = -errno;
	if (r < 0)
		sys_call(SYS_unlinkat, dir, STORE_META ".new", 0);
	return r;
}

int store_write(int dir, const struct store_meta *m)
{
	return put(dir, m, true);
}

int store_write_new(int dir, const struct store_meta *m)
{
	return put(dir, m, false);
}

int store_sync(int dir)
{
	int fd = sys_openat(dir, STORE_META, O_RDONLY | O_NOFOLLOW, 0), r;

	if (fd < 0)
		return fd;
	r = (int)sys_call(SYS_fdatasync, fd);
	sys_close(fd);
	return r;
}

/* A name of @names, or their count. */
static uint32_t find_name(const char *const *names, uint32_t count, const char *s)
{
	uint32_t i = 0;

	while (i < count && !streq(names[i], s))
		i++;
	return i;
}

static bool take_field(const struct field *f, char *s, struct store_meta *m)
{
	char *to = (char *)m + f->off;
	uint64_t number = 0;
	uint32_t word;

	if (f->kind == TEXT)
		return percent_decode(s) && str_copy(to, f->size, s);
	if (f->kind == MODE || f->kind == FORM) {
		const char *const *names = f->kind == MODE ? store_mode_names : store_form_names;
		uint32_t count = STORE_MODES;

		if (f->kind == FORM)
			count = STORE_FORMS;

		number = find_name(names, count, s);
		if (number == count)
			return false;
	} else if (parse_u64(s, &number) < 0) {
		return false;
	}
	if (f->kind == NUMBER64) {
		memcpy(to, &number, sizeof(number));
		return true;
	}
	word = (uint32_t)number;
	memcpy(to, &word, sizeof(word));
	return number <= UINT32_MAX;
}

/* The next word of *@s, which it ends; NULL: there is none. */
static char *take_word(char **s)
{
	char *word = *s, *space = word ? strchr(word, ' ') : NULL;

	*s = space ? space + 1 : NULL;
	if (space)
		*space = '\0';
	return word;
}

static bool take_number(char **s, uint64_t most, uint64_t *ret)
{
	const char *word = take_word(s);

	return word && parse_u64(word, ret) == 0 && *ret <= most;
}

/* What put_layer() writes; ascending by number. */
static bool take_layer(char *s, struct store_meta *m)
{
	struct store_layer *l = &m->layers[m->layers_count];
	uint64_t number, below, theirs = 0;
	const char *label, *tree = "";

	if (m->layers_count == STORE_LAYERS_MAX)
		return false;
	if (!take_number(&s, INT32_MAX, &number) || !take_number(&s, INT32_MAX, &below) ||
	    below >= number || (m->layers_count && number <= l[-1].number))
		return false;
	label = take_word(&s);
	if (!label || (s && !take_number(&s, UINT64_MAX, &l->created_ns)))
		return false;
	if (s)
		tree = take_word(&s);
	if (tree[0] && !take_number(&s, INT32_MAX, &theirs))
		return false;
	l->number = (uint32_t)number;
	l->parent = (uint32_t)below;
	l->tree_number = (uint32_t)theirs;
	m->layers_count++;
	return !s && !strchr(tree, '/') && str_copy(l->tree, sizeof(l->tree), tree) &&
	       str_copy(l->label, sizeof(l->label), label);
}

static bool take_line(char *line, unsigned index, struct store_meta *m)
{
	char *value = strchr(line, '=');
	uint64_t version;

	if (!value)
		return false;
	*value++ = '\0';
	if (index == 0)
		return streq(line, "purple-workspace") && parse_u64(value, &version) == 0 &&
		       version == STORE_VERSION;
	if (index <= ARRAY_SIZE(fields))
		return streq(line, fields[index - 1].key) &&
		       take_field(&fields[index - 1], value, m);
	if (streq(line, "layer"))
		return take_layer(value, m);
	for (size_t i = 0; i < ARRAY_SIZE(more_fields); i++)
		if (streq(line, more_fields[i].key))
			return take_field(&more_fields[i], value, m) && !strchr(m->tree, '/');
	return false;
}

/* Nothing of it is believed before its sum is right: it may be cut off. */
static int parse(char *text, size_t n, struct store_meta *m)
{
	char hex[SUM_LEN + 1], *sum, *line, *end;
	const size_t tail = strlen(SUM_KEY) + SUM_LEN + 1;
	unsigned i = 0;

	memset(m, 0, sizeof(*m));
	if (n <= tail || memchr(text, '\0', n))
		return -EBADMSG;
	sum = text + n - tail;
	sum_of(text, n - tail, hex);
	if (sum[-1] != '\n' || text[n - 1] != '\n' || memcmp(sum, SUM_KEY, strlen(SUM_KEY)) != 0 ||
	    memcmp(sum + strlen(SUM_KEY), hex, SUM_LEN) != 0)
		return -EBADMSG;
	*sum = '\0';
	for (line = text; *line; line = end + 1, i++) {
		end = strchr(line, '\n');
		if (!end)
			return -EBADMSG;
		*end = '\0';
		if (!take_line(line, i, m))
			return -EBADMSG;
	}
	if (i <= ARRAY_SIZE(fields) || m->path[0] != '/' || !store_layer(m, m->top))
		return -EBADMSG;
	return 0;
}

int store_read(int dir, struct store_meta *m)
{
	static _cold_data_ char text[META_MAX + 1];
	int fd = sys_openat(dir, STORE_META, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0), r;
	long n;

	if (fd < 0)
		return fd;
	n = sys_read(fd, text, META_MAX);
	sys_close(fd);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	r = n == META_MAX ? -EBADMSG : parse(text, (size_t)n, m);
	if (r < 0)
		memset(m, 0, sizeof(*m));
	return r;
}

const struct store_layer *store_layer(const struct store_meta *m, uint32_t number)
{
	for (unsigned i = 0; i < m->layers_count; i++)
		if (m->layers[i].number == number)
			return &m->layers[i];
	return NULL;
}

const struct store_layer *store_labelled(const struct store_meta *m, const char *label)
{
	for (unsigned i = 0; i < m->layers_count && *label; i++)
		if (streq(m->layers[i].label, label))
			return &m->layers[i];
	return NULL;
}

int store_stack(const struct store_meta *m, uint32_t number, uint32_t ret[STORE_LAYERS_MAX])
{
	int n = 0;

	/* Ends: parents have lower numbers. */
	while (number != 0) {
		const struct store_layer *l = store_layer(m, number);

		if (!l)
			return -EBADMSG;
		ret[n++] = number;
		number = l->parent;
	}
	return n;
}
