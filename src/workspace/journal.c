/* SPDX-License-Identifier: Apache-2.0 */
#include "workspace/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"
#include "sys/files.h"
#include "workspace/store.h"

static const char letters[STEP_KINDS + 1] = "ardmit";
static const char journal_head[] = "purple-journal 1", landed_head[] = "purple-landed 1";

enum { SUM_LEN = SHA256_SIZE * 2 };

void journal_name(const struct step *s, bool gone, char ret[JOURNAL_NAME])
{
	snprintf(ret, JOURNAL_NAME, ".purple-%016" PRIx64 "%s", s->key, gone ? "-" : "");
}

void file_id_set(struct file_id *id, const struct stat *st)
{
	*id = (struct file_id){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_ns = time_ns(&st->st_mtim),
		.mode = st->st_mode,
	};
}

bool file_id_is(const struct file_id *id, const struct stat *st)
{
	if (id->dev != st->st_dev || id->ino != st->st_ino || ((id->mode ^ st->st_mode) & S_IFMT))
		return false;
	/* A directory's size and times are those of its entries. */
	if (S_ISDIR(id->mode))
		return true;
	return id->size == (uint64_t)st->st_size && id->mtime_ns == time_ns(&st->st_mtim) &&
	       id->mode == st->st_mode;
}

int journal_add(struct journal *j, const struct step *s)
{
	struct step *copy;

	j->steps = arena_grow(&j->memory, j->steps, j->count, sizeof(*j->steps));
	if (!j->steps)
		return -ENOMEM;
	copy = &j->steps[j->count];
	*copy = *s;
	copy->path = arena_strdup(&j->memory, s->path);
	if (!copy->path)
		return -ENOMEM;
	j->count++;
	return 0;
}

static void sum_of(const struct buf *b, char hex[SUM_LEN + 1])
{
	uint8_t sum[SHA256_SIZE];
	struct sha256 s;

	sha256_init(&s);
	sha256_add(&s, b->data, b->len);
	sha256_done(&s, sum);
	hex_encode(sum, sizeof(sum), hex);
}

/* Replace the file @name, so that a power failure leaves the old one or this. */
static int put_file(int store, const char *name, struct buf *b)
{
	char hex[SUM_LEN + 1], new[32];
	int fd, r;

	if (b->failed)
		return -ENOMEM;
	sum_of(b, hex);
	buf_add(b, hex, SUM_LEN);
	if (b->failed)
		return -ENOMEM;
	snprintf(new, sizeof(new), "%s.new", name);
	fd = sys_openat(store, new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fd;
	r = write_full(fd, b->data, b->len);
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	sys_close(fd);
	if (r == 0 && renameat(store, new, store, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(store, new, 0);
	else
		fsync(store);
	return r;
}

/* Its records, one after the other, each with its NUL; without the head. */
static int get_file(int store, const char *name, const char *head, struct buf *b)
{
	char hex[SUM_LEN + 1];
	int fd = sys_openat(store, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0), r;

	if (fd < 0)
		return fd;
	r = read_all(fd, b);
	sys_close(fd);
	if (r < 0)
		return r;
	if (b->len <= SUM_LEN)
		return -EBADMSG;
	b->len -= SUM_LEN;
	sum_of(b, hex);
	if (memcmp(b->data + b->len, hex, SUM_LEN) != 0 || b->data[b->len - 1] != '\0' ||
	    !streq(b->data, head))
		return -EBADMSG;
	return 0;
}

static void put_id(struct buf *b, const struct file_id *id)
{
	buf_printf(b, " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRId64 " %" PRIo32 " %" PRIx64,
		   id->dev, id->ino, id->size, id->mtime_ns, id->mode, id->tree);
}

int journal_write(int store, const struct journal *j)
{
	_cleanup_buf_ struct buf b = BUF_INIT(JOURNAL_MAX);

	buf_add(&b, journal_head, sizeof(journal_head));
	buf_puts(&b, j->committing ? "commit" : "stage");
	buf_add(&b, "", 1);
	for (size_t i = 0; i < j->count; i++) {
		const struct step *s = &j->steps[i];

		buf_printf(&b, "%c %" PRIx64, letters[s->kind], s->key);
		put_id(&b, &s->before);
		put_id(&b, &s->after);
		buf_puts(&b, " ");
		buf_add(&b, s->path, strlen(s->path) + 1);
	}
	return put_file(store, STORE_JOURNAL, &b);
}

/* A number at *@at, which goes on behind it; a signed one as two's complement. */
static bool get_number(const char **at, int base, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(*at, &end, base);
	if (errno != 0 || end == *at)
		return false;
	*at = end;
	return true;
}

static bool get_id(const char **at, struct file_id *id)
{
	uint64_t mtime, mode;

	if (!get_number(at, 16, &id->dev) || !get_number(at, 16, &id->ino) ||
	    !get_number(at, 16, &id->size) || !get_number(at, 10, &mtime) ||
	    !get_number(at, 8, &mode) || !get_number(at, 16, &id->tree) || mode > UINT32_MAX)
		return false;
	id->mtime_ns = (int64_t)mtime;
	id->mode = (uint32_t)mode;
	return true;
}

static bool get_step(const char *text, struct step *s)
{
	const char *letter = *text ? strchr(letters, *text) : NULL;

	if (!letter)
		return false;
	s->kind = (enum step_kind)(letter - letters);
	text++;
	if (!get_number(&text, 16, &s->key) || !get_id(&text, &s->before) ||
	    !get_id(&text, &s->after) || text[0] != ' ' || !text[1])
		return false;
	s->path = text + 1;
	return true;
}

int journal_read(int store, struct journal *j)
{
	_cleanup_buf_ struct buf b = BUF_INIT(JOURNAL_MAX);
	const char *at, *end;
	int r = get_file(store, STORE_JOURNAL, journal_head, &b);

	if (r < 0)
		return r;
	end = b.data + b.len;
	at = b.data + sizeof(journal_head);
	if (at >= end || (!streq(at, "commit") && !streq(at, "stage")))
		return -EBADMSG;
	j->committing = streq(at, "commit");
	for (at += strlen(at) + 1; r == 0 && at < end; at += strlen(at) + 1) {
		struct step s = { 0 };

		r = get_step(at, &s) ? journal_add(j, &s) : -EBADMSG;
	}
	return r;
}

int journal_remove(int store)
{
	if (unlinkat(store, STORE_JOURNAL, 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

bool journal_exists(int store)
{
	return faccessat(store, STORE_JOURNAL, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void journal_free(struct journal *j)
{
	arena_free(&j->memory);
	*j = JOURNAL_INIT;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct landed *)a)->path, ((const struct landed *)b)->path);
}

int landed_read(int store, struct landed_list *l)
{
	_cleanup_buf_ struct buf b = BUF_INIT(JOURNAL_MAX);
	const char *at, *end;
	int r;

	*l = (struct landed_list){ .memory = ARENA_INIT(JOURNAL_MAX) };
	r = get_file(store, STORE_LANDED, landed_head, &b);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	end = b.data + b.len;
	for (at = b.data + sizeof(landed_head); at < end; at += strlen(at) + 1) {
		struct landed one = { 0 };
		uint64_t ctime;

		if (!get_number(&at, 16, &one.dev) || !get_number(&at, 16, &one.ino) ||
		    !get_number(&at, 10, &ctime) || at[0] != ' ' || !at[1])
			return -EBADMSG;
		one.ctime_ns = (int64_t)ctime;
		l->items = arena_grow(&l->memory, l->items, l->count, sizeof(*l->items));
		one.path = arena_strdup(&l->memory, at + 1);
		if (!l->items || !one.path)
			return -ENOMEM;
		l->items[l->count++] = one;
	}
	return 0;
}

static void put_landed(struct buf *b, const struct landed *one)
{
	buf_printf(b, "%" PRIx64 " %" PRIx64 " %" PRId64 " ", one->dev, one->ino, one->ctime_ns);
	buf_add(b, one->path, strlen(one->path) + 1);
}

int landed_write(int store, const struct landed_list *l, struct landed *more, size_t count)
{
	_cleanup_buf_ struct buf b = BUF_INIT(JOURNAL_MAX);
	size_t i = 0, k = 0;

	if (!count)
		return 0;
	qsort(more, count, sizeof(*more), by_path);
	buf_add(&b, landed_head, sizeof(landed_head));
	while (i < l->count || k < count) {
		int order = i == l->count ? 1 : k == count ? -1 : by_path(&l->items[i], &more[k]);

		if (order < 0) {
			put_landed(&b, &l->items[i++]);
			continue;
		}
		i += order == 0;
		put_landed(&b, &more[k]);
		/* The same one twice is once. */
		for (k++; k < count && by_path(&more[k - 1], &more[k]) == 0; k++)
			;
	}
	return put_file(store, STORE_LANDED, &b);
}

const struct landed *landed_find(const struct landed_list *l, const char *path)
{
	const struct landed key = { .path = path };

	return l->count ? bsearch(&key, l->items, l->count, sizeof(key), by_path) : NULL;
}

void landed_free(struct landed_list *l)
{
	arena_free(&l->memory);
	*l = (struct landed_list){ 0 };
}
