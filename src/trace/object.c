/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/macros.h"
#include "base/str.h"

static const uint8_t bytes[] __attribute__((__aligned__(8))) = {
#include "trace_object.inc"
};

/* What libbpf complained of last; it tells more than an errno. */
static char complaint[96];

_printf_(2, 0) static int listen_to_libbpf(enum libbpf_print_level level, const char *format,
					   va_list args)
{
	char line[512];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	if (!complaint[0]) /* the first is the cause */
		str_copy(complaint, sizeof(complaint), line);
	return 0;
}

static int failed(struct err *e, int code, const char *what)
{
	err_set(e, code ? code : EPROTO, "trace", "%s%s%s", what, complaint[0] ? ": " : "",
		complaint);
	return -e->code;
}

static int map_shared(struct trace_object *o, struct err *e)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(o->object, ".bss");
	void *at;

	if (!map || bpf_map__value_size(map) < sizeof(*o->shared))
		return failed(e, EPROTO, "the kernel's programs have no memory with us");
	at = mmap(NULL, sizeof(*o->shared), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map),
		  0);
	if (at == MAP_FAILED)
		return failed(e, errno, "cannot map the memory of the kernel's programs");
	o->shared = at;
	return 0;
}

/* In our own context, so it sees us. */
static int identify(struct trace_object *o, struct err *e)
{
	const struct bpf_program *p = bpf_object__find_program_by_name(o->object, "trace_identify");
	struct bpf_test_run_opts opts = { .sz = sizeof(opts) };
	int r = p ? bpf_prog_test_run_opts(bpf_program__fd(p), &opts) : -ENOENT;

	return r < 0 ? failed(e, r, "cannot tell the kernel's programs who we are") : 0;
}

static int attach(struct trace_object *o, struct err *e)
{
	static const char *const names[] = { "trace_fork", "trace_exec", "trace_exit",
					     "trace_call" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		const struct bpf_program *p = bpf_object__find_program_by_name(o->object, names[i]);

		if (!p || !bpf_program__attach(p))
			return failed(e, p ? errno : ENOENT, "cannot attach to a tracepoint");
	}
	return 0;
}

int trace_object_open(struct trace_object *o, const struct trace_config *config,
		      int (*told)(void *arg, void *record, size_t size), void *arg, struct err *e)
{
	struct bpf_object_open_opts opts = { .sz = sizeof(opts), .object_name = "purple" };
	struct bpf_map *ring;
	int r;

	libbpf_set_print(listen_to_libbpf);
	o->object = bpf_object__open_mem(bytes, sizeof(bytes), &opts);
	if (!o->object)
		return failed(e, errno, "cannot read the kernel's programs");
	ring = bpf_object__find_map_by_name(o->object, "ring");
	r = config->ring_bytes ? bpf_map__set_max_entries(ring, config->ring_bytes) : 0;
	if (r == 0)
		r = bpf_object__load(o->object);
	if (r < 0)
		return failed(e, r, "cannot load the kernel's programs");
	r = map_shared(o, e);
	if (r < 0)
		return r;
	o->shared->flags = config->flags;
	r = identify(o, e);
	if (r < 0)
		return r;
	o->ring = ring_buffer__new(bpf_map__fd(ring), told, arg, NULL);
	if (!o->ring)
		return failed(e, errno, "cannot map the ring buffer");
	return attach(o, e);
}

int trace_object_fd(const struct trace_object *o)
{
	return ring_buffer__epoll_fd(o->ring);
}
