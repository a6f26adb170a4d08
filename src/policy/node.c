/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/node.h"

#include <stdint.h>
#include <string.h>
#include <yaml.h>

#include "base/str.h"
#include "policy/policy.h"

struct anchor {
	const char *name;
	struct node *node;
};

struct reader {
	struct arena *arena;
	struct diags *d;
	const char *file;
	const void *data;
	size_t len;
	yaml_parser_t yaml;
	struct anchor anchors[NODE_ANCHORS_MAX];
	unsigned anchors_count;
	unsigned total;
	bool stop; /* an error was reported; nothing that follows can be trusted */
};

#define NODE_TOO_LARGE "too large: it needs more memory than the 16 MiB that a policy may take"

static struct pos mark_pos(const struct reader *r, yaml_mark_t m)
{
	return (struct pos){ r->file, (unsigned)m.line + 1, (unsigned)m.column + 1 };
}

/* Line and column of byte @offset, counted by hand where libyaml gives none. */
static struct pos offset_pos(const struct reader *r, size_t offset)
{
	const char *s = r->data;
	struct pos pos = { r->file, 1, 1 };

	for (size_t i = 0; i < offset && i < r->len; i++) {
		pos.column++;
		if (s[i] == '\n') {
			pos.line++;
			pos.column = 1;
		}
	}
	return pos;
}

static void *fail(struct reader *r, struct pos pos, const char *message)
{
	if (!r->stop)
		diag_error(r->d, pos, "", "%s", message);
	r->stop = true;
	return NULL;
}

/* What people mostly did where libyaml says no more than what it did not find. */
static const char *yaml_hint(const yaml_parser_t *y)
{
	if (y->problem && streq(y->problem, "found character that cannot start any token"))
		return "; indent with blanks, not tabs, and quote a text that starts with @, ` or %";
	if (y->context && streq(y->context, "while scanning an alias"))
		return "; quote a text that starts with '*': \"*.example.com:443\"";
	return "";
}

static bool next_event(struct reader *r, yaml_event_t *ev)
{
	const yaml_parser_t *y = &r->yaml;

	if (r->stop)
		return false;
	if (yaml_parser_parse(&r->yaml, ev))
		return true;
	if (y->error == YAML_READER_ERROR)
		fail(r, offset_pos(r, y->problem_offset),
		     "not UTF-8 text, or a control character in it; save the file as UTF-8");
	else if (y->error == YAML_MEMORY_ERROR)
		fail(r, (struct pos){ r->file, 0, 0 }, "out of memory");
	else if (!r->stop) {
		diag_error(r->d, mark_pos(r, y->problem_mark), "", "not valid YAML: %s%s",
			   y->problem ? y->problem : "syntax error", yaml_hint(y));
		r->stop = true;
	}
	return false;
}

static struct node *new_node(struct reader *r, enum node_kind kind, struct pos pos)
{
	struct node *n = arena_alloc(r->arena, sizeof(*n));

	if (!n)
		return fail(r, pos, NODE_TOO_LARGE);
	n->kind = kind;
	n->pos = pos;
	n->weight = 1;
	return n;
}

static bool append(struct reader *r, struct node *parent, struct node *n)
{
	size_t max = parent->kind == NODE_MAP ? 2 * POLICY_LIST_MAX : POLICY_LIST_MAX;
	struct node **items;

	if (parent->count >= max) {
		fail(r, n->pos, "too many items; a list or a map may have 4096");
		return false;
	}
	items = arena_grow(r->arena, parent->item, parent->count, sizeof(struct node *));
	if (!items) {
		fail(r, n->pos, NODE_TOO_LARGE);
		return false;
	}
	parent->item = items;
	parent->item[parent->count++] = n;
	parent->weight += n->weight;
	if (parent->weight > NODE_MAX || ++r->total > NODE_MAX) {
		fail(r, n->pos, "too large: more than 65536 values, aliases written out");
		return false;
	}
	return true;
}

/* Remember the finished node under its anchor; a later one of that name wins. */
static bool bind_anchor(struct reader *r, const char *name, struct node *n)
{
	if (!name)
		return true;
	if (r->anchors_count == NODE_ANCHORS_MAX) {
		fail(r, n->pos, "too many anchors; a policy may have 64");
		return false;
	}
	r->anchors[r->anchors_count++] = (struct anchor){ name, n };
	return true;
}

static struct node *find_anchor(struct reader *r, const char *name, struct pos pos)
{
	for (unsigned i = r->anchors_count; i-- > 0;)
		if (streq(r->anchors[i].name, name))
			return r->anchors[i].node;
	return fail(r, pos, "an alias without an anchor before it, or inside its own anchor");
}

/* Standard tags change nothing that a policy needs; !replace is ours. */
static bool check_tag(struct reader *r, struct node *n, const yaml_char_t *tag)
{
	const char *t = (const char *)tag;

	if (!t)
		return true;
	if (streq(t, "!replace") && n->kind == NODE_LIST) {
		n->replace = true;
		return true;
	}
	if (n->kind == NODE_SCALAR && (streq(t, "!") || streq(t, YAML_STR_TAG))) {
		n->style = NODE_QUOTED;
		return true;
	}
	if ((n->kind == NODE_LIST && streq(t, YAML_SEQ_TAG)) ||
	    (n->kind == NODE_MAP && streq(t, YAML_MAP_TAG)))
		return true;
	if (!r->stop)
		diag_error(r->d, n->pos, "",
			   "unknown tag %.64s; the only one here is !replace, on a list", t);
	r->stop = true;
	return false;
}

static struct node *read_scalar(struct reader *r, const yaml_event_t *ev, struct pos pos)
{
	const char *text = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	struct node *n;

	if (len > NODE_SCALAR_MAX)
		return fail(r, pos, "a value of more than 16384 bytes");
	if (memchr(text, '\0', len))
		return fail(r, pos, "a NUL byte in a value");
	n = new_node(r, NODE_SCALAR, pos);
	if (!n)
		return NULL;
	n->text = arena_strndup(r->arena, text, len);
	if (!n->text)
		return fail(r, pos, NODE_TOO_LARGE);
	n->style = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? NODE_PLAIN : NODE_QUOTED;
	return check_tag(r, n, ev->data.scalar.tag) ? n : NULL;
}

static struct node *read_node(struct reader *r, const yaml_event_t *ev, unsigned depth);

static struct node *read_collection(struct reader *r, struct node *n, unsigned depth)
{
	int end = n->kind == NODE_LIST ? YAML_SEQUENCE_END_EVENT : YAML_MAPPING_END_EVENT;

	if (depth >= POLICY_DEPTH_MAX)
		return fail(r, n->pos, "nested too deeply; 16 levels are the most");
	for (;;) {
		struct node *child;
		yaml_event_t ev;
		bool done;

		if (!next_event(r, &ev))
			return NULL;
		done = (int)ev.type == end;
		child = done ? NULL : read_node(r, &ev, depth + 1);
		yaml_event_delete(&ev);
		if (done)
			return n;
		if (!child || !append(r, n, child))
			return NULL;
	}
}

static struct node *read_node(struct reader *r, const yaml_event_t *ev, unsigned depth)
{
	struct pos pos = mark_pos(r, ev->start_mark);
	const yaml_char_t *anchor = NULL;
	const char *name = NULL;
	struct node *n;

	switch ((int)ev->type) {
	case YAML_ALIAS_EVENT:
		return find_anchor(r, (const char *)ev->data.alias.anchor, pos);
	case YAML_SCALAR_EVENT:
		anchor = ev->data.scalar.anchor;
		n = read_scalar(r, ev, pos);
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = ev->data.sequence_start.anchor;
		n = new_node(r, NODE_LIST, pos);
		if (n && !check_tag(r, n, ev->data.sequence_start.tag))
			n = NULL;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = ev->data.mapping_start.anchor;
		n = new_node(r, NODE_MAP, pos);
		if (n && !check_tag(r, n, ev->data.mapping_start.tag))
			n = NULL;
		break;
	default:
		return fail(r, pos, "not valid YAML");
	}
	if (n && n->kind != NODE_SCALAR)
		n = read_collection(r, n, depth);
	if (n && anchor) {
		name = arena_strdup(r->arena, (const char *)anchor);
		if (!name)
			return fail(r, pos, NODE_TOO_LARGE);
	}
	return n && bind_anchor(r, name, n) ? n : NULL;
}

/* stream start, document start, node, document end, stream end */
static struct node *read_document(struct reader *r)
{
	struct node *root = NULL;

	for (;;) {
		yaml_event_t ev;
		int type;

		if (!next_event(r, &ev))
			return NULL;
		type = (int)ev.type;
		if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
		    type != YAML_DOCUMENT_START_EVENT && type != YAML_DOCUMENT_END_EVENT)
			root = read_node(r, &ev, 0);
		else if (type == YAML_DOCUMENT_START_EVENT && root)
			fail(r, mark_pos(r, ev.start_mark),
			     "a second document; a policy file holds one");
		yaml_event_delete(&ev);
		if (type == YAML_STREAM_END_EVENT)
			break;
	}
	if (!root && !r->stop)
		fail(r, (struct pos){ r->file, 1, 1 }, "empty; a policy is a map of sections");
	return r->stop ? NULL : root;
}

struct node *node_parse(struct arena *a, const char *file, const void *data, size_t len,
			struct diags *d)
{
	struct reader r = { .arena = a, .d = d, .file = file, .data = data, .len = len };
	const void *nul = len > 0 ? memchr(data, '\0', len) : NULL;
	struct node *root;

	if (len > POLICY_FILE_MAX)
		return fail(&r, (struct pos){ file, 0, 0 },
			    "too large; a policy file may have 1 MiB");
	if (nul)
		return fail(&r, offset_pos(&r, (size_t)((const char *)nul - (const char *)data)),
			    "a NUL byte; a policy is text");
	if (!yaml_parser_initialize(&r.yaml))
		return fail(&r, (struct pos){ file, 0, 0 }, "out of memory");
	yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.yaml, data, len);
	root = read_document(&r);
	yaml_parser_delete(&r.yaml);
	return root;
}
