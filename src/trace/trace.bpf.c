/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What happens inside one sandbox, as the kernel sees it: runs in the kernel, on
 * every process of the host, and has to be quick about those that are none of its
 * business. Writes struct trace_record into a ring buffer.
 *
 * By tracepoints alone: functions of the kernel (fentry, kprobes) may be observed
 * on some machines only, and change; these stay. What a successful open is told by
 * is the open file, not what the caller named it. What was refused or connected to
 * is in the caller's memory, where another of its threads can change it meanwhile.
 *
 * What Purple does itself inside is not told: processes that share the
 * supervisor's memory set up the sandbox, and purple-init reaps.
 *
 * Linux 5.17, for bpf_loop().
 */
#include "trace/kernel.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "trace/calls.h"
#include "trace/protocol.h"
#include "trace/shared.h"

/* By their choice, for this file alone: the kernel lets no other program trace. */
char _license[] SEC("license") = "GPL";

struct trace_shared shared;

enum { EPERM_ = 1, ENOENT_ = 2, EACCES_ = 13, EROFS_ = 30, EINPROGRESS_ = 115 };
enum { ACCMODE = 3, PATH_ONLY = 010000000, CREATE = 0100, CREATE_TRUNCATE = 01101, AT_CWD = -100 };
enum { FMODE_CREATED_ = 0x100000, SIGNAL_GROUP_EXIT_ = 4 };
enum { S_TYPE = 0170000, S_CHARACTER = 0020000, S_SOCKET = 0140000 };
enum { FAMILY_INET = 2, FAMILY_INET6 = 10, DATAGRAM = 2 };
enum { DEPTH_MAX = 512, NAME_MASK = 255, TEXT = TRACE_PATH_MAX, WALK_MASK = 2 * TEXT - 1 };

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} ring SEC(".maps");

/*
 * Where a record is put together. Not one a processor: a program that waits for a
 * processor in its midst would find it overwritten. Taken by compare-and-swap.
 */
struct slot {
	__u32 busy;
	struct trace_record r;
	char data[3 * TEXT + 8];
	char walk[3 * TEXT]; /* a path from its end: walk_path() */
};
enum { SLOTS = 32, TRIES = 8 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

/* The compiler is not to know more of @n than the verifier does. */
#define BOUND(n) asm volatile("" : "+r"(n))

static struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/* As the namespace of level @level numbers it; 0: it is not in one of that level. */
static struct upid number_at(struct task_struct *t, __u32 level)
{
	struct upid n = { 0 };
	struct pid *pid = BPF_CORE_READ(t, thread_pid);

	if (pid && BPF_CORE_READ(pid, level) >= level)
		bpf_probe_read_kernel(&n, sizeof(n),
				      (char *)pid + bpf_core_field_offset(struct pid, numbers) +
					      level * sizeof(n));
	return n;
}

/* In the sandbox; and neither PID 1 nor, unless it has begun to be somebody, a part of Purple. */
static bool is_inside(struct task_struct *t)
{
	struct upid n;

	if (!shared.ns)
		return false;
	n = number_at(t, shared.level);
	return (__u64)n.ns == shared.ns && n.nr != 1;
}

static bool is_purple(struct task_struct *t)
{
	struct mm_struct *mm = BPF_CORE_READ(t, mm);

	if (!mm || (__u64)mm == shared.setup_mm)
		return true;
	/* A child of PID 1 before its execution. Who executes purple-init inside has done more. */
	return shared.init_exe && BPF_CORE_READ(t, self_exec_id) == shared.init_exec_id &&
	       (__u64)BPF_CORE_READ(mm, exe_file, f_inode) == shared.init_exe;
}

static __u32 number_of(struct task_struct *t)
{
	return (__u32)number_at(t, shared.level - 1).nr;
}

static struct slot *slot_take(enum trace_kind kind, struct task_struct *t)
{
	__u32 first = bpf_get_smp_processor_id() * 2;
	struct task_struct *leader;

	for (int i = 0; i < TRIES; i++) {
		__u32 at = (first + i) % SLOTS;
		struct slot *s = bpf_map_lookup_elem(&slots, &at);

		if (!s || !__sync_bool_compare_and_swap(&s->busy, 0, 1))
			continue;
		__builtin_memset(&s->r, 0, sizeof(s->r));
		leader = BPF_CORE_READ(t, group_leader);
		s->r.kind = kind;
		s->r.time = bpf_ktime_get_ns();
		s->r.pid = number_of(leader);
		s->r.ppid = number_of(BPF_CORE_READ(leader, real_parent));
		return s;
	}
	__sync_fetch_and_add(&shared.lost, 1);
	return NULL;
}

static void slot_drop(struct slot *s)
{
	__sync_lock_test_and_set(&s->busy, 0);
}

/* Where the next string goes; at most the sum of the three maxima. */
static __u32 end_of(const struct slot *s)
{
	return s->r.path_len + s->r.base_len + s->r.args_len;
}

static void slot_send(struct slot *s)
{
	__u64 now = s->r.time, flags = BPF_RB_NO_WAKEUP;
	__u32 end = end_of(s), size = (sizeof(s->r) + end + 7) & ~7u;

	BOUND(end);
	if (end <= 3 * TEXT)
		__builtin_memset(s->data + end, 0, 8); /* what an older record left */
	s->r.size = size;
	if (now - shared.woken > TRACE_WAKE_NS) {
		shared.woken = now;
		flags = BPF_RB_FORCE_WAKEUP;
	}
	if (size > sizeof(s->r) + 3 * TEXT)
		size = sizeof(s->r) + 3 * TEXT;
	if (bpf_ringbuf_output(&ring, &s->r, size, flags) < 0)
		__sync_fetch_and_add(&shared.lost, 1);
	slot_drop(s);
}

/* Behind what is there. Returns its length. */
static __u32 add_string(struct slot *s, const char *from, bool user)
{
	__u32 at = end_of(s);
	long n;

	BOUND(at);
	if (at > 2 * TEXT)
		return 0;
	n = user ? bpf_probe_read_user_str(s->data + at, TEXT, from)
		 : bpf_probe_read_kernel_str(s->data + at, TEXT, from);
	return n > 0 ? (__u32)n - 1 : 0;
}

struct walk {
	struct slot *s;
	struct dentry *d, *top; /* where it is; where it leaves the mount */
	struct mount *mount;	/* NULL: of none */
	__u32 at;
	bool whole;
};

static long walk_up(__u32 i, struct walk *w)
{
	struct dentry *d = w->d, *up = BPF_CORE_READ(d, d_parent);
	struct mount *mount = w->mount, *below;
	__u32 at = w->at, len;

	if (mount && d == w->top) {
		below = BPF_CORE_READ(mount, mnt_parent);
		w->whole = below == mount;
		w->d = BPF_CORE_READ(mount, mnt_mountpoint);
		w->mount = below;
		w->top = BPF_CORE_READ(below, mnt.mnt_root);
		return below == mount ? 1 : 0;
	}
	w->whole = up == d;
	if (w->whole)
		return 1;
	len = BPF_CORE_READ(d, d_name.len) & NAME_MASK;
	if (WALK_MASK - at + len + 1 >= TEXT)
		return 1;
	at -= len + 1;
	w->at = at;
	BOUND(at);
	at &= WALK_MASK;
	w->s->walk[at] = '/';
	bpf_probe_read_kernel(w->s->walk + at + 1, len, BPF_CORE_READ(d, d_name.name));
	w->d = up;
	return 0;
}

/*
 * The path of @d on the mount @m, from the root of its mount namespace, into
 * s->walk. Returns where it begins; it ends at WALK_MASK.
 */
static __u32 walk_path(struct slot *s, struct dentry *d, struct vfsmount *m)
{
	struct walk w = { .s = s, .d = d, .at = WALK_MASK };

	if (m) {
		w.mount = (struct mount *)((char *)m - bpf_core_field_offset(struct mount, mnt));
		w.top = BPF_CORE_READ(m, mnt_root);
	}
	bpf_loop(DEPTH_MAX, walk_up, &w, 0);
	if (!w.whole)
		s->r.flags |= TRF_CUT;
	if (!w.whole || w.at != WALK_MASK)
		return w.at;
	s->walk[WALK_MASK - 1] = '/'; /* the root itself */
	return WALK_MASK - 1;
}

/* Behind what is there. @m NULL: from the root of its file system. Returns its length. */
static __u32 add_path(struct slot *s, struct dentry *d, struct vfsmount *m)
{
	__u32 from = walk_path(s, d, m), len = WALK_MASK - from, at = end_of(s);

	BOUND(at);
	BOUND(len);
	BOUND(from);
	if (at > 2 * TEXT || len >= TEXT || from > WALK_MASK)
		return 0;
	bpf_probe_read_kernel(s->data + at, len, s->walk + from);
	return len;
}

static __u32 add_cwd(struct slot *s, struct task_struct *t)
{
	return add_path(s, BPF_CORE_READ(t, fs, pwd.dentry), BPF_CORE_READ(t, fs, pwd.mnt));
}

static struct file *file_of(struct task_struct *t, int fd)
{
	struct file **table, *f = NULL;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(t, files, fdt, max_fds))
		return NULL;
	table = BPF_CORE_READ(t, files, fdt, fd);
	bpf_probe_read_kernel(&f, sizeof(f), table + fd);
	return f;
}

static __u32 add_file(struct slot *s, struct file *f)
{
	return add_path(s, BPF_CORE_READ(f, f_path.dentry), BPF_CORE_READ(f, f_path.mnt));
}

/* What a relative name begins at. */
static __u32 add_base(struct slot *s, struct task_struct *t, int dir)
{
	struct file *f;

	if (dir == AT_CWD)
		return add_cwd(s, t);
	f = file_of(t, dir);
	return f ? add_file(s, f) : 0;
}

/* Run once by purple-trace itself: its parent is the supervisor. */
SEC("raw_tp")
int trace_identify(void *ctx)
{
	struct task_struct *parent = BPF_CORE_READ(current_task(), real_parent);

	shared.supervisor = BPF_CORE_READ(parent, tgid);
	shared.level = BPF_CORE_READ(parent, thread_pid, level) + 1;
	return 0;
}

/* The child does not run yet. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(trace_fork, struct task_struct *parent, struct task_struct *child)
{
	struct upid n;

	if (shared.ns || (__u32)parent->tgid != shared.supervisor || !shared.supervisor)
		return 0;
	n = number_at(child, shared.level);
	if (!n.ns || n.nr != 1)
		return 0;
	shared.setup_mm = (__u64)BPF_CORE_READ(parent, mm);
	shared.ns = (__u64)n.ns;
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(trace_exec, struct task_struct *t, int old, struct linux_binprm *bprm)
{
	unsigned long start, end;
	struct slot *s;
	struct upid n;
	__u32 at, len;

	if (!shared.ns)
		return 0;
	n = number_at(t, shared.level);
	if ((__u64)n.ns != shared.ns)
		return 0;
	if (n.nr == 1) {
		shared.init_exec_id = BPF_CORE_READ(t, self_exec_id);
		shared.init_exe = (__u64)BPF_CORE_READ(t, mm, exe_file, f_inode);
		return 0;
	}
	if (!(shared.flags & TRACE_PROCESSES))
		return 0;
	s = slot_take(TRACE_EXEC, t);
	if (!s)
		return 0;
	s->r.path_len = add_string(s, BPF_CORE_READ(bprm, filename), false);
	s->r.base_len = add_cwd(s, t);
	start = BPF_CORE_READ(t, mm, arg_start);
	end = BPF_CORE_READ(t, mm, arg_end);
	len = end - start;
	if (end - start > TRACE_ARGS_MAX) {
		len = TRACE_ARGS_MAX;
		s->r.flags |= TRF_CUT;
	}
	at = end_of(s);
	BOUND(at);
	BOUND(len);
	if (at <= 2 * TEXT && len <= TEXT &&
	    bpf_probe_read_user(s->data + at, len, (void *)start) == 0)
		s->r.args_len = len;
	slot_send(s);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(trace_exit, struct task_struct *t)
{
	struct signal_struct *sig = t->signal;
	struct slot *s;

	if (!(shared.flags & TRACE_PROCESSES) || !is_inside(t) || sig->live.counter ||
	    (__u64)BPF_CORE_READ(t, mm) == shared.setup_mm)
		return 0;
	s = slot_take(TRACE_EXIT, t);
	if (!s)
		return 0;
	s->r.result = sig->flags & SIGNAL_GROUP_EXIT_ ? sig->group_exit_code
						      : BPF_CORE_READ(t, group_leader, exit_code);
	s->r.flags = sig->nr_threads > 1 || t->pid != t->tgid ? TRF_THREADS : 0;
	s->r.path_len = add_string(s, t->comm, false);
	slot_send(s);
	return 0;
}

static __u64 argument(struct pt_regs *regs, __u8 n)
{
	switch (n) {
	case 0:
		return REGS_ARG0(regs);
	case 1:
		return REGS_ARG1(regs);
	case 2:
		return REGS_ARG2(regs);
	case 3:
		return REGS_ARG3(regs);
	}
	return 0;
}

/* What the policy does not show is not there: whoever has the plan tells it from what is not. */
static bool is_refusal(const struct call *c, long error)
{
	if (error == -ENOENT_)
		return c->what >= CALL_EXECS;
	return error == -EACCES_ || error == -EPERM_ || error == -EROFS_;
}

static __u32 open_how(struct pt_regs *regs, __u8 what)
{
	__u32 how = 0;

	if (what == CALL_OPENS2)
		bpf_probe_read_user(&how, sizeof(how), (void *)REGS_ARG2(regs));
	else if (what == CALL_OPENS)
		how = (__u32)REGS_ARG1(regs);
	else if (what == CALL_OPENS_AT)
		how = (__u32)REGS_ARG2(regs);
	else if (what == CALL_CREATES)
		how = CREATE_TRUNCATE;
	return how;
}

static __u8 access_of(__u32 how)
{
	return how & ACCMODE ? TRACE_WRITE : TRACE_READ;
}

static void tell_open(struct task_struct *t, int fd, __u32 how)
{
	struct file *f = file_of(t, fd);
	struct slot *s;

	if (!f || is_purple(t) || (BPF_CORE_READ(f, f_inode, i_mode) & S_TYPE) == S_CHARACTER ||
	    !(s = slot_take(TRACE_OPEN, t)))
		return;
	s->r.access = BPF_CORE_READ(f, f_mode) & FMODE_CREATED_ ? TRACE_CREATE : access_of(how);
	s->r.path_len = add_file(s, f);
	slot_send(s);
}

struct attempt {
	__u32 call, access;
	int dir; /* that a relative @name begins at */
	long error;
	const char *name;
};

static void tell_refused(struct task_struct *t, const struct attempt *a)
{
	struct slot *s = slot_take(TRACE_REFUSED, t);

	if (!s)
		return;
	s->r.result = (int)a->error;
	s->r.access = (__u8)a->access;
	s->r.call = a->call;
	s->r.path_len = add_string(s, a->name, true);
	if (s->data[0] != '/' || !s->r.path_len)
		s->r.base_len = add_base(s, t, a->dir);
	slot_send(s);
}

/* Both names: which of them it was for, nobody says. */
static void tell_rename(struct task_struct *t, struct pt_regs *regs, const struct call *c,
			struct attempt *a)
{
	tell_refused(t, a);
	a->access = TRACE_CREATE;
	a->dir = c->dir == CALL_CWD ? AT_CWD : (int)REGS_ARG2(regs);
	a->name = (void *)(c->dir == CALL_CWD ? REGS_ARG1(regs) : REGS_ARG3(regs));
	tell_refused(t, a);
}

struct address {
	__u16 family, port; /* network order */
	__u8 v4[4];
	__u8 v6[16];
};

static void tell_connect(struct task_struct *t, int fd, const void *to, long ret)
{
	struct file *f = file_of(t, fd);
	struct address a = { 0 };
	struct socket *sock;
	struct slot *s;

	if (!f || (BPF_CORE_READ(f, f_inode, i_mode) & S_TYPE) != S_SOCKET || is_purple(t))
		return;
	if (bpf_probe_read_user(&a, sizeof(a), to) < 0)
		bpf_probe_read_user(&a, 16, to); /* IPv4's is shorter, at the end of a page */
	if ((a.family != FAMILY_INET && a.family != FAMILY_INET6) ||
	    !(s = slot_take(TRACE_CONNECTED, t)))
		return;
	sock = BPF_CORE_READ(f, private_data);
	s->r.result = ret == -EINPROGRESS_ ? 0 : (int)ret;
	s->r.flags = (BPF_CORE_READ(sock, type) == DATAGRAM ? TRF_UDP : 0) |
		     (a.family == FAMILY_INET6 ? TRF_V6 : 0);
	s->r.port = __builtin_bswap16(a.port);
	if (a.family == FAMILY_INET6)
		__builtin_memcpy(s->r.address, a.v6, sizeof(a.v6));
	else
		__builtin_memcpy(s->r.address, a.v4, sizeof(a.v4));
	slot_send(s);
}

static void tell_failure(struct task_struct *t, struct pt_regs *regs, const struct call *c,
			 __u32 how, long error)
{
	struct attempt a = {
		.call = (__u32)REGS_CALL(regs),
		.access = c->what < CALL_OPENS ? c->access
			  : how & CREATE       ? TRACE_CREATE
					       : access_of(how),
		.dir = c->dir == CALL_CWD ? AT_CWD : (int)argument(regs, c->dir),
		.error = error,
		.name = (void *)argument(regs, c->path),
	};

	if (c->what == CALL_RENAMES)
		tell_rename(t, regs, c, &a);
	else
		tell_refused(t, &a);
}

static bool is_wanted(const struct call *c, __u32 how, long ret)
{
	if (c->what == CALL_CONNECTS)
		return shared.flags & TRACE_CONNECTS;
	if (ret < 0)
		return is_refusal(c, ret) && shared.flags & TRACE_REFUSALS;
	if (shared.flags & TRACE_OPENS)
		return !(how & PATH_ONLY);
	return how & ACCMODE && shared.flags & TRACE_WRITES;
}

/* On every system call of the host, so the first lines are what counts. */
SEC("tp_btf/sys_exit")
int BPF_PROG(trace_call, struct pt_regs *regs, long ret)
{
	__u64 number = REGS_CALL(regs);
	struct task_struct *t;
	const struct call *c;
	__u32 how;

	if (number >= CALLS || !shared.ns)
		return 0;
	c = &calls[number];
	if (c->what == CALL_NONE || (c->what < CALL_OPENS && ret >= 0))
		return 0;
	t = current_task();
	if (!is_inside(t))
		return 0;
	how = open_how(regs, c->what);
	if (!is_wanted(c, how, ret))
		return 0;
	if (c->what == CALL_CONNECTS) {
		tell_connect(t, (int)REGS_ARG0(regs), (void *)REGS_ARG1(regs), ret);
		return 0;
	}
	if (ret >= 0) {
		tell_open(t, (int)ret, how);
		return 0;
	}
	if (!is_purple(t))
		tell_failure(t, regs, c, how, ret);
	return 0;
}
