/* SPDX-License-Identifier: Apache-2.0 */
#include "event/trail_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/trail_json.h"
#include "event/trail_line.h"

const char *const trail_fault_words[TRAIL_FAULTS] = {
	"changed", "missing", "older files missing", "reordered",	"repeated",
	"joined",  "cut off", "head disagrees",	     "signature wrong",
};

void trail_check_init(struct trail_check *c)
{
	*c = (struct trail_check){ .chain = { .seq = 1 } };
}

void trail_check_free(struct trail_check *c)
{
	free(c->faults);
	free(c->missing);
	c->faults = NULL;
	c->missing = NULL;
}

/* Room for one more element. */
static bool grow(struct trail_check *c, void **array, size_t count, size_t *room, size_t size)
{
	void *p;

	if (count < *room)
		return true;
	p = reallocarray(*array, 2 * *room + 16, size);
	if (!p) {
		c->out_of_memory = true;
		return false;
	}
	*array = p;
	*room = 2 * *room + 16;
	return true;
}

void trail_check_fault(struct trail_check *c, const struct trail_fault *f)
{
	void *array = c->faults;

	c->file_bad = true;
	if (c->faults_count == TRAIL_FAULTS_MAX) {
		c->faults_more++;
		return;
	}
	if (!grow(c, &array, c->faults_count, &c->faults_room, sizeof(*f)) || !array)
		return;
	c->faults = array;
	c->faults[c->faults_count++] = *f;
}

static struct trail_place here(const struct trail_check *c)
{
	return (struct trail_place){ c->files - 1, c->line };
}

static void fault(struct trail_check *c, enum trail_fault_kind kind, struct trail_place at,
		  uint64_t seq, uint64_t to, const char *why)
{
	const struct trail_fault f = { kind, at, seq, to, why };

	trail_check_fault(c, &f);
}

/* Lines of which nothing was seen yet; they may still come. */
static void not_here(struct trail_check *c, const struct trail_range *r)
{
	void *array = c->missing;

	c->file_bad = true;
	if (!grow(c, &array, c->missing_count, &c->missing_room, sizeof(*r)))
		return;
	c->missing = array;
	c->missing[c->missing_count++] = *r;
}

/* Is @seq one of those? Then it is not any more. */
static bool found(struct trail_check *c, uint64_t seq)
{
	for (size_t i = c->missing_count; i-- > 0;) {
		struct trail_range *r = &c->missing[i], was = *r;

		if (seq < r->from || seq > r->to)
			continue;
		if (!was.moved)
			fault(c, TF_REORDERED, was.at, was.seq, 0, "earlier ones stand behind it");
		was.moved = r->moved = true;
		if (was.from == was.to) {
			*r = c->missing[--c->missing_count];
		} else if (seq == was.from) {
			r->from++;
		} else {
			r->to = seq - 1;
			was.from = seq + 1;
			if (seq < was.to)
				not_here(c, &was);
		}
		return true;
	}
	return false;
}

/* The doubt is over: @it: this line was changed, else the one before. */
static void decide(struct trail_check *c, bool it)
{
	if (!c->doubt)
		return;
	c->doubt = false;
	fault(c, TF_CHANGED, c->doubt_at[it], c->doubt_seq - !it, 0, "its hash is another");
}

/* The head of the file before had another hash than its last line. */
static void decide_head(struct trail_check *c, bool line_is_sound)
{
	struct trail_place head = { c->last.file, 0 };

	if (!c->head_off)
		return;
	c->head_off = false;
	if (line_is_sound)
		fault(c, TF_HEAD, head, c->chain.seq, 0, "its hash is not that of the last line");
	else
		fault(c, TF_CHANGED, c->last, c->chain.seq - 1, 0, "its hash is another");
}

static unsigned count(const char *line, size_t len, const char *needle)
{
	unsigned n = 0;

	for (const char *end = line + len, *s = line;
	     (s = memmem(s, (size_t)(end - s), needle, strlen(needle))); s++)
		n++;
	return n;
}

/* It is no line of a trail. */
static void not_a_line(struct trail_check *c, const char *line, size_t len)
{
	bool start = len >= sizeof(TRAIL_SEQ) - 1 &&
		     memcmp(line, TRAIL_SEQ, sizeof(TRAIL_SEQ) - 1) == 0;
	unsigned links = count(line, len, TRAIL_PREV);
	bool joined = links > 1;

	if (links == 0 && start && line[len - 1] == '}')
		links = 1;
	decide(c, false);
	decide_head(c, true);
	if (start || !c->fragment)
		fault(c, joined ? TF_JOINED : TF_CHANGED, here(c), c->chain.seq, 0,
		      joined ? "there is no newline between lines"
			     : "it is no line of a trail any more");
	/* A line that was cut in two has its link in the second part. */
	c->chain.seq += links;
	c->fragment = links == 0;
	c->loose = true;
	c->last_repeated = 0;
}

static void advance(struct trail_check *c, uint64_t seq, const uint8_t hash[SHA256_SIZE])
{
	c->chain.seq = seq + 1;
	memcpy(c->chain.hash, hash, SHA256_SIZE);
	c->last = here(c);
	c->last_repeated = 0;
}

/* Where its number belongs. */
static void in_order(struct trail_check *c, const struct trail_link *link, bool linked)
{
	if (linked || c->loose) {
		decide(c, false);
		decide_head(c, true);
	} else if (c->head_off) {
		decide_head(c, false);
	} else if (c->doubt) {
		decide(c, true);
	} else {
		c->doubt = true;
		c->doubt_at[0] = c->last;
		c->doubt_at[1] = here(c);
		c->doubt_seq = link->seq;
	}
	c->loose = false;
}

/* It stands behind lines with higher numbers. */
static void too_late(struct trail_check *c, uint64_t seq)
{
	struct trail_fault *f = c->faults_count ? &c->faults[c->faults_count - 1] : NULL;

	if (found(c, seq))
		return;
	if (f && c->last_repeated && seq == c->last_repeated + 1 && f->kind == TF_REPEATED)
		f->to = seq;
	else
		fault(c, TF_REPEATED, here(c), seq, 0, "it was there before");
	c->last_repeated = seq;
}

static void too_early(struct trail_check *c, uint64_t seq)
{
	const struct trail_range r = { c->chain.seq, seq - 1, here(c), seq, false };

	/* One cut from within a line into a later one makes one line that looks whole. */
	decide(c, true);
	decide_head(c, !c->loose);
	if (!c->started)
		fault(c, TF_OLDER, r.at, r.from, r.to, "before the first line");
	else
		not_here(c, &r);
	c->loose = false;
}

static void claims(struct trail_check *c)
{
	while (c->claims_next < c->claims_count) {
		struct trail_claim *claim = &c->claims[c->claims_next];

		if (claim->head.seq > c->chain.seq)
			return;
		c->claims_next++;
		if (claim->head.seq < c->chain.seq)
			continue; /* its line is not there */
		claim->met = memcmp(claim->head.hash, c->chain.hash, SHA256_SIZE) == 0;
		if (!claim->met)
			fault(c, TF_SIGNATURE, (struct trail_place){ claim->file, 0 },
			      claim->head.seq, 0, "another line was signed");
	}
}

void trail_check_line(struct trail_check *c, const char *line, size_t len)
{
	uint8_t hash[SHA256_SIZE];
	struct trail_link link;
	bool linked;

	c->line++;
	c->lines++;
	c->bytes += len + 1;
	c->chain.size += len + 1;
	if (trail_link_parse(line, len, &link) < 0 || !trail_json_ok(line, len)) {
		not_a_line(c, line, len);
		c->started = true;
		return;
	}
	c->fragment = false;
	linked = !c->loose && memcmp(link.prev, c->chain.hash, SHA256_SIZE) == 0;
	if (link.seq == c->chain.seq) {
		trail_hash(line, len, hash);
		in_order(c, &link, linked);
		advance(c, link.seq, hash);
	} else if (linked) {
		trail_hash(line, len, hash);
		decide(c, false);
		decide_head(c, true);
		fault(c, TF_CHANGED, here(c), c->chain.seq, 0, "its number is another");
		advance(c, c->chain.seq, hash);
		c->loose = true;
	} else if (link.seq > c->chain.seq) {
		trail_hash(line, len, hash);
		too_early(c, link.seq);
		advance(c, link.seq, hash);
	} else {
		too_late(c, link.seq);
	}
	c->started = true;
	if (!c->loose)
		claims(c);
}

void trail_check_file(struct trail_check *c)
{
	c->files++;
	c->line = 0;
	c->chain.size = 0;
	c->file_bad = false;
	c->fragment = false;
}

void trail_check_file_end(struct trail_check *c, const char *rest, size_t rest_len,
			  const struct trail_head *head)
{
	struct trail_place file = { c->files - 1, 0 };
	struct trail_place end = { c->files - 1, c->line + 1 };
	bool same;

	if (rest_len > 0) {
		decide(c, false);
		fault(c, TF_CUT, end, c->chain.seq, 0, "the last line is not whole");
		c->loose = true;
	}
	if (!head)
		return;
	same = memcmp(head->hash, c->chain.hash, SHA256_SIZE) == 0;
	if (head->seq > c->chain.seq && !(same && !c->loose)) {
		decide(c, true);
		if (rest_len == 0)
			fault(c, TF_CUT, end, c->chain.seq, head->seq - 1,
			      "the head counts more lines");
		/* They are told; what follows is held against the head. */
		c->chain.seq = head->seq;
		memcpy(c->chain.hash, head->hash, SHA256_SIZE);
		c->loose = false;
		return;
	}
	if (head->seq != c->chain.seq) {
		fault(c, TF_HEAD, file, head->seq, 0, "it counts another number of lines");
		return;
	}
	if (c->doubt)
		decide(c, !same);
	else if (!c->loose && !same)
		c->head_off = true;
	/* A file that is not there was moved away: what it had is in another one. */
	if (c->chain.size + rest_len > 0 && head->size != c->chain.size + rest_len &&
	    !c->file_bad && !c->head_off)
		fault(c, TF_HEAD, file, head->seq, 0, "it counts another number of bytes");
}

bool trail_check_is_left(const struct trail_head *head, const char *rest, size_t len)
{
	struct trail_head h = *head;
	struct trail_link link;
	const char *end;
	char text[32];
	size_t n;

	for (; (end = memchr(rest, '\n', len)); len -= n + 1, rest = end + 1) {
		n = (size_t)(end - rest);
		if (!trail_json_ok(rest, n) || trail_link_parse(rest, n, &link) < 0 ||
		    !trail_continue(&h, rest, n))
			return false;
	}
	/* The start of the next line. */
	n = (size_t)snprintf(text, sizeof(text), TRAIL_SEQ "%llu,", (unsigned long long)h.seq);
	return memcmp(rest, text, MIN(n, len)) == 0;
}

static int by_place(const void *a, const void *b)
{
	const struct trail_fault *x = a, *y = b;

	if (x->at.file != y->at.file)
		return x->at.file < y->at.file ? -1 : 1;
	if (x->at.line != y->at.line)
		return x->at.line < y->at.line ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

int trail_check_done(struct trail_check *c)
{
	decide(c, false);
	if (c->head_off && c->claims_next > 0 && c->claims[c->claims_next - 1].met &&
	    c->claims[c->claims_next - 1].head.seq == c->chain.seq)
		decide_head(c, true);
	decide_head(c, false);
	for (size_t i = 0; i < c->missing_count; i++)
		fault(c, TF_MISSING, c->missing[i].at, c->missing[i].from, c->missing[i].to,
		      "they were before this line");
	for (; c->claims_next < c->claims_count; c->claims_next++)
		if (c->claims[c->claims_next].head.seq > c->chain.seq)
			fault(c, TF_SIGNATURE,
			      (struct trail_place){ c->claims[c->claims_next].file, 0 },
			      c->claims[c->claims_next].head.seq, 0,
			      "lines that were signed are not there");
	if (c->out_of_memory)
		return -ENOMEM;
	if (c->faults_count > 1)
		qsort(c->faults, c->faults_count, sizeof(*c->faults), by_place);
	return 0;
}
