/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ocsf.h"

#include <string.h>

#include "base/str.h"
#include "config.h"

enum { OTHER = 99, NETWORK_OPEN = 1, NETWORK_REFUSE = 5 };
enum outcome { DONE = 1, FAILED = 2, DENIED = 3 };

/* clang-format off */
static const struct mapping {
	int class_uid;	/* its first digit is the category */
	int activity;	/* OTHER: as @name says; 0: by the field "access" or "method" */
	enum outcome outcome;
	const char *name; /* of an activity that the class does not list */
} mappings[EVENT_TYPES + 1] = {
	[EV_SANDBOX_CREATED]  = { 6002, 1,     DONE,   NULL },		    /* Install */
	[EV_SANDBOX_STARTED]  = { 6002, 3,     DONE,   NULL },		    /* Start */
	[EV_SANDBOX_ENDED]    = { 6002, 4,     DONE,   NULL },		    /* Stop */
	[EV_SETUP_ERROR]      = { 6002, 3,     FAILED, NULL },
	[EV_NET_LOST]	      = { 6002, 4,     FAILED, NULL },
	[EV_POLICY_CHANGED]   = { 6003, 3,     DONE,   NULL },		    /* Update */
	[EV_EXEC_REQUESTED]   = { 6003, 1,     DONE,   NULL },		    /* Create */
	[EV_INTENT]	      = { 6003, OTHER, DONE,   "Announce" },
	[EV_PROCESS_EXEC]     = { 1007, 1,     DONE,   NULL },		    /* Launch */
	[EV_PROCESS_EXIT]     = { 1007, 2,     DONE,   NULL },		    /* Terminate */
	[EV_FILE_WRITE]	      = { 1001, 0,     DONE,   NULL },
	[EV_FILE_OPEN]	      = { 1001, 0,     DONE,   NULL },
	[EV_OUTPUT]	      = { 1001, 1,     DONE,   NULL },		    /* Create */
	[EV_FILE_DENIED]      = { 1001, 0,     DENIED, NULL },
	[EV_NET_ALLOWED]      = { 4001, NETWORK_OPEN,	DONE,	NULL },
	[EV_NET_DENIED]	      = { 4001, NETWORK_REFUSE, DENIED, NULL },
	[EV_API_CALL]	      = { 4002, 0,     DONE,   NULL },
	[EV_DNS_ALLOWED]      = { 4003, 1,     DONE,   NULL },		    /* Query */
	[EV_DNS_DENIED]	      = { 4003, 1,     DENIED, NULL },
	[EV_SYSCALL_DENIED]   = { 2004, 1,     DENIED, NULL },		    /* Create */
	[EV_LIMIT_REACHED]    = { 2004, 1,     DENIED, NULL },
	[EV_LAYER_DOWNGRADED] = { 2004, 1,     FAILED, NULL },
	[EV_AUDIT_OPENED]     = { 1008, 6,     DONE,   NULL },		    /* Start */
	[EV_AUDIT_GAP]	      = { 1008, OTHER, FAILED, "Gap" },
	[EVENT_TYPES]	      = { 0,	OTHER, DONE,   "Other" },	    /* of a later Purple */
};

static const struct word {
	const char *word;
	int activity;
} accesses[] = {
	{ "create", 1 }, { "read", 2 }, { "write", 3 }, { "remove", 4 }, { "exec", 14 },
}, methods[] = {
	{ "CONNECT", 1 }, { "DELETE", 2 }, { "GET", 3 }, { "HEAD", 4 }, { "OPTIONS", 5 },
	{ "POST", 6 }, { "PUT", 7 }, { "TRACE", 8 },
};
/* clang-format on */

static int find_word(const struct word *words, size_t count, const char *s)
{
	for (size_t i = 0; s && i < count; i++)
		if (streq(words[i].word, s))
			return words[i].activity;
	return OTHER;
}

/* Set, and hand over @value. */
static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

/* The field as it is, if there is one. */
static void put_field(json_t *object, const char *key, const struct trail_line *l,
		      enum event_field f)
{
	json_t *v = json_object_get(l->fields, event_fields[f].name);

	if (v)
		json_object_set(object, key, v);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static json_t *file_of(const char *path)
{
	return json_pack("{s:s, s:s, s:i}", "name", base_name(path), "path", path, "type_id", 0);
}

static json_t *list_text(const struct trail_line *l, enum event_field f)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4 * EVENT_LINE_MAX);

	line_put_value(&b, json_object_get(l->fields, event_fields[f].name));
	return json_string(b.data);
}

/* The process that did it; the sandbox, if that is all that is known. */
static json_t *process(const struct trail_line *l, enum event_field pid)
{
	json_t *p = json_object();

	if (line_number(l, pid) > 0)
		put_field(p, "pid", l, pid);
	else
		put(p, "uid", json_string(l->sandbox));
	return p;
}

static void put_actor(json_t *o, const struct trail_line *l)
{
	json_t *actor = json_object();
	uint64_t uid = line_number(l, EF_UID);
	char text[24];

	put(actor, "session", json_pack("{s:s}", "uid", l->sandbox));
	if (l->known == EV_PROCESS_EXEC || l->known == EV_PROCESS_EXIT)
		put(actor, "process", process(l, EF_PPID));
	else if (line_number(l, EF_PID) > 0)
		put(actor, "process", process(l, EF_PID));
	if (json_object_get(l->fields, event_fields[EF_UID].name)) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)uid);
		put(actor, "user", json_pack("{s:s}", "uid", text));
	}
	put(o, "actor", actor);
}

static void put_process(json_t *o, const struct trail_line *l)
{
	json_t *p = process(l, EF_PID);
	const char *path = line_text(l, EF_PATH);

	if (path) {
		put(p, "name", json_string(base_name(path)));
		put(p, "file", file_of(path));
	}
	if (json_object_get(l->fields, event_fields[EF_ARGV].name))
		put(p, "cmd_line", list_text(l, EF_ARGV));
	put_field(p, "working_directory", l, EF_CWD);
	if (line_number(l, EF_PPID) > 0)
		put(p, "parent_process", process(l, EF_PPID));
	put(o, "process", p);
	put_field(o, "exit_code", l, EF_STATUS);
}

static void put_file(json_t *o, const struct trail_line *l)
{
	const char *path = line_text(l, EF_PATH);

	put(o, "file", file_of(path ? path : "?"));
}

static void put_source(json_t *o, const struct trail_line *l)
{
	put(o, "src_endpoint",
	    json_pack("{s:s, s:s}", "uid", l->sandbox, "name", l->name[0] ? l->name : l->sandbox));
}

static void put_connection(json_t *o, const struct trail_line *l)
{
	const char *proto = line_text(l, EF_PROTO), *host = line_text(l, EF_HOST);
	json_t *to = json_object(), *c = json_pack("{s:i}", "direction_id", 2); /* outbound */

	put(to, "name", json_string(host ? host : "?"));
	put_field(to, "hostname", l, EF_HOST);
	put_field(to, "ip", l, EF_ADDRESS);
	put_field(to, "port", l, EF_PORT);
	put(o, "dst_endpoint", to);
	put_source(o, l);
	put(c, "protocol_name", json_string(proto ? proto : "tcp"));
	put(c, "protocol_num", json_integer(proto && streq(proto, "udp") ? 17 : 6));
	put(o, "connection_info", c);
}

static void put_request(json_t *o, const struct trail_line *l)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
	const char *host = line_text(l, EF_HOST), *path = line_text(l, EF_PATH);
	json_t *url = json_object(), *request = json_object();

	buf_printf(&b, "http://%s:%llu%s", host ? host : "",
		   (unsigned long long)line_number(l, EF_PORT), path ? path : "/");
	put(url, "scheme", json_string("http"));
	put_field(url, "hostname", l, EF_HOST);
	put_field(url, "port", l, EF_PORT);
	put(url, "path", json_string(path ? path : "/"));
	put(url, "url_string", json_string(b.data));
	put(request, "url", url);
	put_field(request, "http_method", l, EF_METHOD);
	put(o, "http_request", request);
}

static void put_query(json_t *o, const struct trail_line *l)
{
	const char *host = line_text(l, EF_HOST), *address = line_text(l, EF_ADDRESS);

	put(o, "query", json_pack("{s:s}", "hostname", host ? host : "?"));
	put_source(o, l);
	put(o, "dst_endpoint", json_pack("{s:s}", "svc_name", "purple-net"));
	if (address)
		put(o, "answers", json_pack("[{s:s}]", "rdata", address));
}

static void put_finding(json_t *o, const struct trail_line *l, const char *text)
{
	char uid[128];

	snprintf(uid, sizeof(uid), "%.80s-%llu", l->sandbox, (unsigned long long)l->seq);
	put(o, "finding_info",
	    json_pack("{s:s, s:s, s:[s]}", "uid", uid, "title", text, "types", l->type));
	put(o, "is_alert", json_boolean(l->severity >= ES_WARNING));
}

static void put_class(json_t *o, const struct trail_line *l, int class_uid, const char *text)
{
	switch (class_uid) {
	case 1001:
		put_file(o, l);
		break;
	case 1007:
		put_process(o, l);
		break;
	case 1008:
		put(o, "log_name", json_string("purple audit trail"));
		break;
	case 2004:
		put_finding(o, l, text);
		break;
	case 4002:
		put_request(o, l);
		put_connection(o, l);
		break;
	case 4001:
		put_connection(o, l);
		break;
	case 4003:
		put_query(o, l);
		break;
	case 6002:
		put(o, "app",
		    json_pack("{s:s, s:s, s:s}", "name",
			      l->known == EV_NET_LOST ? "purple-net" : "purple sandbox", "uid",
			      l->sandbox, "vendor_name", "Purple"));
		break;
	case 6003:
		put(o, "api", json_pack("{s:s}", "operation", l->type));
		put_source(o, l);
		break;
	default:
		break;
	}
}

static void put_outcome(json_t *o, enum outcome outcome)
{
	put(o, "status_id", json_integer(outcome == DONE ? 1 : 2));
	if (outcome == FAILED)
		return;
	put(o, "action_id", json_integer(outcome == DENIED ? 2 : 1));
	put(o, "action", json_string(outcome == DENIED ? "Denied" : "Allowed"));
	put(o, "disposition_id", json_integer(outcome == DENIED ? 2 : 1));
	put(o, "disposition", json_string(outcome == DENIED ? "Blocked" : "Allowed"));
}

static json_t *metadata(const struct trail_line *l)
{
	char uid[128];

	snprintf(uid, sizeof(uid), "%.80s-%llu", l->sandbox, (unsigned long long)l->seq);
	return json_pack("{s:s, s:{s:s, s:s, s:s}, s:s, s:I, s:s, s:s, s:s, s:[s]}", "version",
			 "1.5.0", "product", "name", "Purple", "vendor_name", "Purple", "version",
			 PURPLE_VERSION, "uid", uid, "sequence", (json_int_t)l->seq, "event_code",
			 l->type, "original_time", l->time, "log_name", "purple audit trail",
			 "profiles", "security_control");
}

/* What the class has no place for: the type's fields, under their own names. */
static json_t *unmapped(const struct trail_line *l)
{
	static const char *const envelope[] = { "seq", "time", "sandbox", "severity", "type" };
	json_t *rest = json_copy(l->fields);

	for (size_t i = 0; i < ARRAY_SIZE(envelope); i++)
		json_object_del(rest, envelope[i]);
	return rest;
}

json_t *ocsf_event(const struct trail_line *l)
{
	static const int severities[] = { 1, 2, 3, 4 };
	const struct mapping *m = &mappings[l->known < 0 ? EVENT_TYPES : l->known];
	_cleanup_buf_ struct buf text = BUF_INIT(4 * EVENT_LINE_MAX);
	int activity = m->activity;
	json_t *o = json_object();

	if (!o)
		return NULL;
	line_describe(l, &text);
	if (activity == 0 && m->class_uid == 4002)
		activity = find_word(methods, ARRAY_SIZE(methods), line_text(l, EF_METHOD));
	else if (activity == 0)
		activity = find_word(accesses, ARRAY_SIZE(accesses), line_text(l, EF_ACCESS));
	put(o, "category_uid", json_integer(m->class_uid / 1000));
	put(o, "class_uid", json_integer(m->class_uid));
	put(o, "activity_id", json_integer(activity));
	if (activity == OTHER)
		put(o, "activity_name", json_string(m->name ? m->name : "Other"));
	put(o, "type_uid", json_integer((json_int_t)m->class_uid * 100 + activity));
	put(o, "severity_id", json_integer(severities[l->severity]));
	put(o, "time", json_integer((json_int_t)(l->time_ns / 1000000)));
	put(o, "message", json_string(text.data ? text.data : ""));
	put(o, "metadata", metadata(l));
	put(o, "device",
	    json_pack("{s:i, s:s, s:s, s:s}", "type_id", 6, "type", "Virtual", "uid", l->sandbox,
		      "name", l->name[0] ? l->name : l->sandbox));
	put_actor(o, l);
	put_outcome(o, l->known == EV_PROCESS_EXEC && line_text(l, EF_ERROR) ? FAILED : m->outcome);
	if (line_number(l, EF_COUNT) > 0 && l->known != EV_AUDIT_GAP)
		put_field(o, "count", l, EF_COUNT);
	put_class(o, l, m->class_uid, text.data ? text.data : l->type);
	put(o, "unmapped", unmapped(l));
	return o;
}
