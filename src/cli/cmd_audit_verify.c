/* SPDX-License-Identifier: Apache-2.0 */
/* `purple audit verify`: reads all files of a trail and says what is not as it was written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "cli/audit_key.h"
#include "cli/audit_paths.h"
#include "cli/cmd_audit.h"
#include "cli/sandboxes.h"
#include "event/trail_check.h"
#include "event/trail_read.h"

enum { CHUNK = 1 << 20, LEFT_MAX = 64 << 20, EXIT_BAD = 1 };
_Static_assert(CHUNK > 4 * EVENT_LINE_MAX, "lines fit");

static const char *const help[] = {
	"Checks a trail, with its older files: that each line has the hash of the one before, that",
	"they are numbered without a hole, that the heads agree, and the signatures where the",
	"public key is there. Without a name: the caller's own trail. Sandboxes may run meanwhile.",
	"",
	"  -k, --key FILE   the public key, PEM; a trail without a signature is bad then",
	"      --file TRAIL  the trail, as an argument names it",
	"  -q, --quiet      only the exit status",
	"  -h, --help       this text",
	"",
	"Each fault is told as FILE:LINE. Exit status: 0 all is as it was written, 1 it is not,",
	"125 it could not be read.",
	NULL,
};

struct verify {
	struct trail_snapshot s;
	struct trail_check c;
	struct trail_claim *claims;
	uint64_t gaps;		      /* lines of the trail that tell of what it lacks */
	size_t claims_count, unknown; /* unknown: signatures of keys that are not at hand */
	struct audit_key *key;

	char *data; /* CHUNK bytes */
	char *left; /* bytes behind the last head */
	uint64_t left_size;
};

static void fault(struct verify *v, enum trail_fault_kind kind, size_t file, uint64_t seq,
		  const char *why)
{
	const struct trail_fault f = { kind, { (uint32_t)file, 0 }, seq, 0, why };

	trail_check_fault(&v->c, &f);
}

/* Nobody inside can write that: in a string its quotes are escaped. */
static bool is_gap(const char *line, size_t len)
{
	static const char type[] = "\"type\":\"audit.gap\"";

	return memmem(line, len, type, sizeof(type) - 1) != NULL;
}

/* Feed @size bytes; what is without a newline at the end stays in v->data, *rest bytes. */
static int feed(struct verify *v, int fd, uint64_t size, size_t *rest)
{
	size_t have = 0;
	uint64_t at = 0;

	while (at < size) {
		size_t from = 0, room = CHUNK - have;
		ssize_t n = pread(fd, v->data + have, MIN(room, size - at), (off_t)at);
		char *end;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break; /* it was cut meanwhile; the head tells */
		at += (uint64_t)n;
		have += (size_t)n;
		while ((end = memchr(v->data + from, '\n', have - from))) {
			trail_check_line(&v->c, v->data + from, (size_t)(end - v->data) - from);
			v->gaps += is_gap(v->data + from, (size_t)(end - v->data) - from);
			from = (size_t)(end - v->data) + 1;
		}
		have -= from;
		memmove(v->data, v->data + from, have);
		if (have == CHUNK) { /* no line is that long */
			trail_check_line(&v->c, v->data, have);
			have = 0;
		}
	}
	*rest = have;
	return 0;
}

/* How many bytes of the last file are the head's; what a killed writer left is not. */
static int counted(struct verify *v, int fd, const struct trail_part *p, uint64_t *ret)
{
	uint64_t left = p->size - p->head.size;
	char before = '\n';

	*ret = p->size;
	if (p->head_error < 0 || p->size <= p->head.size || left > LEFT_MAX)
		return 0;
	if (p->head.size > 0 && pread(fd, &before, 1, (off_t)p->head.size - 1) != 1)
		return -EIO;
	v->left = malloc(left);
	if (!v->left)
		return -ENOMEM;
	if (pread(fd, v->left, left, (off_t)p->head.size) != (ssize_t)left)
		return -EIO;
	if (before == '\n' && trail_check_is_left(&p->head, v->left, left)) {
		*ret = p->head.size;
		v->left_size = left;
	}
	return 0;
}

static int check_part(struct verify *v, size_t i)
{
	struct trail_part *p = &v->s.parts[i];
	bool is_last = i + 1 == v->s.count;
	_cleanup_close_ int fd = trail_part_open(&v->s, i);
	uint64_t size = p->size;
	size_t rest = 0;
	int r = fd < 0 ? fd : 0;

	trail_check_file(&v->c);
	if (r == 0 && is_last)
		r = counted(v, fd, p, &size);
	if (r == 0)
		r = feed(v, fd, size, &rest);
	if (r < 0)
		return r;
	/* A file that others moved away has no head; the next one's first line vouches for it. */
	if (is_last && p->head_error == -ENOENT)
		fault(v, TF_HEAD, i, 0, "there is none");
	else if (p->head_error < 0 && p->head_error != -ENOENT)
		fault(v, TF_HEAD, i, 0, "it is none");
	trail_check_file_end(&v->c, v->data, rest, p->head_error == 0 ? &p->head : NULL);
	return 0;
}

static int by_seq(const void *a, const void *b)
{
	const struct trail_claim *x = a, *y = b;

	return x->head.seq < y->head.seq ? -1 : x->head.seq > y->head.seq;
}

/* What was signed, before the lines are read. Without the key nobody can say. */
static int read_claims(struct verify *v)
{
	v->claims = calloc(v->s.count, sizeof(*v->claims));
	if (!v->claims)
		return -ENOMEM;
	for (size_t i = 0; i < v->s.count; i++) {
		const struct trail_part *p = &v->s.parts[i];
		struct trail_claim claim = { .file = (uint32_t)i };
		int r;

		if (p->sig_len == 0)
			continue;
		r = audit_signature_check(v->key, p->sig, p->sig_len, &claim.head);
		if (r == -EBADMSG)
			fault(v, TF_SIGNATURE, i, 0, "the file is none");
		else if (r == -EKEYREJECTED)
			fault(v, TF_SIGNATURE, i, claim.head.seq, "it is of another key");
		else if (r < 0)
			fault(v, TF_SIGNATURE, i, claim.head.seq, "it is not of what it says");
		else if (!v->key)
			v->unknown++;
		else
			v->claims[v->claims_count++] = claim;
	}
	qsort(v->claims, v->claims_count, sizeof(*v->claims), by_seq);
	v->c.claims = v->claims;
	v->c.claims_count = v->claims_count;
	return 0;
}

static void put_name(struct buf *b, const char *s)
{
	char out[5];

	while (*s) {
		s += str_printable(s, out);
		buf_puts(b, out);
	}
}

static void put_faults(const struct verify *v, struct buf *b)
{
	for (size_t i = 0; i < v->c.faults_count; i++) {
		const struct trail_fault *f = &v->c.faults[i];

		put_name(b, v->s.parts[f->at.file].name);
		if (f->at.line > 0)
			buf_printf(b, ":%llu", (unsigned long long)f->at.line);
		if (f->seq > 0)
			buf_printf(b, ": seq %llu", (unsigned long long)f->seq);
		if (f->to > f->seq)
			buf_printf(b, "-%llu", (unsigned long long)f->to);
		buf_printf(b, ": %s: %s\n", trail_fault_words[f->kind], f->why);
	}
	if (v->c.faults_more > 0)
		buf_printf(b, "and %llu faults more\n", (unsigned long long)v->c.faults_more);
}

/* A signature is of one line, and by the chain of those before, as long as that is whole. */
static void put_covered(const struct verify *v, uint64_t seq, uint64_t last, struct buf *b)
{
	const bool whole = v->c.faults_count + v->c.faults_more == 0;

	if (whole)
		buf_printf(b, "signed up to line %llu of %llu\n", (unsigned long long)seq,
			   (unsigned long long)last);
	else
		buf_printf(b,
			   "line %llu of %llu is signed, but not what is told of above, nor "
			   "anything between that and line %llu\n",
			   (unsigned long long)seq, (unsigned long long)last,
			   (unsigned long long)seq);
	if (last > seq)
		buf_printf(b,
			   "lines %llu to %llu, which follow, are covered by no signature: `purple "
			   "audit sign` signs them, or the end of the next sandbox\n",
			   (unsigned long long)seq + 1, (unsigned long long)last);
}

static void put_signed(const struct verify *v, struct buf *b)
{
	uint64_t seq = 0;

	for (size_t i = 0; i < v->claims_count; i++)
		if (v->claims[i].met)
			seq = v->claims[i].head.seq - 1;
	if (seq > 0)
		put_covered(v, seq, v->c.chain.seq - 1, b);
	else if (v->unknown > 0)
		buf_puts(b, "the signatures were not checked: there is no public key; see --key\n");
	else if (!v->key)
		buf_puts(b, "not signed; `purple audit init` makes a key\n");
}

static int tell(const struct verify *v, bool quiet)
{
	_cleanup_buf_ struct buf b = BUF_INIT(16 << 20);
	size_t faults = v->c.faults_count + v->c.faults_more;
	int status;

	put_faults(v, &b);
	buf_printf(&b, "%llu lines in %zu file%s: ", (unsigned long long)v->c.lines, v->s.count,
		   v->s.count == 1 ? "" : "s");
	if (faults > 0)
		buf_printf(&b, "%zu fault%s\n", faults, faults == 1 ? "" : "s");
	else
		buf_puts(&b, "good\n");
	if (v->left_size > 0)
		buf_printf(&b,
			   "a writer died before it had counted its last %llu bytes; the next one "
			   "takes care of them\n",
			   (unsigned long long)v->left_size);
	if (v->gaps > 0)
		buf_printf(&b,
			   "the trail says itself that something is missing, or was mended by the "
			   "next writer, in %llu line%s: `purple audit show --type audit.gap`\n",
			   (unsigned long long)v->gaps, v->gaps == 1 ? "" : "s");
	put_signed(v, &b);
	status = quiet ? 0 : command_output(&b);
	return status ? status : faults > 0 ? EXIT_BAD : 0;
}

static int verify(struct verify *v, const char *path, struct err *e)
{
	int r = trail_snapshot(&v->s, path, e);

	if (r == -ENOENT)
		err_remedy(e, "a trail is written by `purple run --audit`; --file names another");
	if (r < 0)
		return r;
	v->data = malloc(CHUNK);
	r = v->data ? read_claims(v) : -ENOMEM;
	for (size_t i = 0; r == 0 && i < v->s.count; i++) {
		r = check_part(v, i);
		if (r < 0)
			return err_set(e, r, "audit", "read %s", v->s.parts[i].name);
	}
	if (r == 0 && v->key && v->claims_count == 0 && v->c.lines > 0)
		fault(v, TF_SIGNATURE, v->s.count - 1, 0, "there is none");
	if (r == 0)
		r = trail_check_done(&v->c);
	return r < 0 ? err_set(e, r, "audit", "check %s", path) : 0;
}

static int load_key(struct verify *v, const char *named, const struct audit_paths *paths,
		    struct err *e)
{
	if (!named && (!paths->pub[0] || access(paths->pub, F_OK) < 0))
		return 0;
	return audit_key_load(&v->key, named ? named : paths->pub, false, e);
}

int cmd_audit_verify(int argc, char **argv)
{
	const char *key = NULL, *file = NULL;
	bool quiet = false;
	const struct option_word options[] = { { 'k', "key", &key, NULL },
					       { 0, "file", &file, NULL },
					       { 'q', "quiet", NULL, &quiet } };
	const struct command_line line = { help,    "purple audit verify [-q] [-k FILE] [TRAIL]",
					   options, ARRAY_SIZE(options),
					   0,	    1 };
	struct verify v = { .s = TRAIL_SNAPSHOT_INIT };
	struct audit_paths paths;
	struct err e = { 0 };
	int names, status, r = command_line(&line, argc, argv, &names, &e);

	if (r > 0)
		return 0;
	trail_check_init(&v.c);
	if (r == 0)
		r = audit_paths(&paths, names > 0 ? argv[0] : file, &e);
	if (r == 0)
		r = load_key(&v, key, &paths, &e);
	if (r == 0)
		r = verify(&v, paths.trail, &e);
	status = r < 0 ? command_failed(&e) : tell(&v, quiet);
	trail_check_free(&v.c);
	trail_snapshot_free(&v.s);
	audit_key_free(&v.key);
	free(v.claims);
	free(v.data);
	free(v.left);
	return status;
}
