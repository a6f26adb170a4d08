/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_sample.h"

#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <string.h>

static struct plan *head(struct buf *b)
{
	return (struct plan *)(void *)b->data;
}

static struct plan_str str(struct buf *b, const char *s)
{
	struct plan_str ret = { (uint32_t)b->len, (uint32_t)strlen(s) };

	buf_add(b, s, strlen(s) + 1);
	return ret;
}

static struct plan_table table(struct buf *b, const void *items, size_t size, size_t count)
{
	struct plan_table ret = { 0, (uint32_t)count };

	buf_align(b, 8);
	ret.off = (uint32_t)b->len;
	buf_add(b, items, size * count);
	return ret;
}

#define TABLE(b, field, items)                                                                 \
	do {                                                                                   \
		struct plan_table t_ = table(b, items, sizeof((items)[0]), ARRAY_SIZE(items)); \
		head(b)->field = t_;                                                           \
	} while (0)

static void add_mounts(struct buf *b)
{
	struct plan_mount m[] = {
		{ PM_DIR, 0755, 0, .target = str(b, "/home") },
		{ PM_BIND, 0, PMF_RDONLY | PMF_NOSUID | PMF_NODEV | PMF_RECURSIVE, str(b, "/usr"),
		  str(b, "/usr"), .landlock = 0xd },
		{ PM_SYMLINK, 0777, 0, str(b, "usr/bin"), str(b, "/bin") },
		{ PM_SCRATCH, 01777, PMF_NOSUID | PMF_NODEV, .target = str(b, "/dev") },
		{ PM_DEVICE, 0666, PMF_NOSUID, str(b, "/dev/null"), str(b, "/dev/null"),
		  .rdev = 0x103, .landlock = 6 },
		{ PM_PROC, 0, PMF_NOSUID | PMF_NODEV | PMF_NOEXEC, .target = str(b, "/proc"),
		  .data = str(b, "subset=pid") },
		{ PM_MASK_FILE, 0, 0, .target = str(b, "/proc/kcore") },
		{ PM_MASK_DIR, 0, 0, .target = str(b, "/proc/acpi") },
		{ PM_FILE, 0644, 0, .target = str(b, "/etc/hostname"), .data = str(b, "box\n") },
		{ PM_SCRATCH, 0700, 0, .target = str(b, "/tmp"), .landlock = 0xffff },
		{ PM_WORKSPACE, 0, PMF_NOSUID | PMF_IDMAP | PMF_HIDE, .landlock = 0xffff },
		{ PM_BIND, 0, PMF_RDONLY, str(b, "./.git/hooks"), str(b, "./.git/hooks") },
	};

	TABLE(b, mounts, m);
}

static void add_process(struct buf *b)
{
	struct plan_rlimit limits[] = { { 4, 0, 0, 0 }, { 7, 0, 1024, UINT64_MAX } };
	struct plan_str hide[] = { str(b, "**/.env"), str(b, "*.pem") };
	struct plan_env set[] = { { str(b, "PATH=/usr/bin:/bin") }, { str(b, "HOME=/home") } };
	struct plan_env pass[] = { { str(b, "LANG") }, { str(b, "LC_*") } };
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 100, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 16, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 24),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x5412, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	TABLE(b, hide, hide);
	TABLE(b, rlimits, limits);
	TABLE(b, env_set, set);
	TABLE(b, env_pass, pass);
	TABLE(b, filter, filter);
}

static void add_network(struct buf *b)
{
	struct net_rule allow[2], block[1];
	struct plan_server servers[] = { { .port = 53, .addr = { 9, 9, 9, 9 } },
					 { .v6 = 1, .port = 53, .addr = { 0xfd, [15] = 1 } } };
	struct plan_listener listeners[] = {
		{ .port = 80, .inside = 8080, .addr = { 127, 0, 0, 1 } },
		{ .v6 = 1, .optional = 1, .port = 80, .inside = 8080, .addr = { [15] = 1 } },
	};
	struct plan_socket sockets[] = { { PS_TCP, 0, PLAN_TCP_PORT }, { PS_DNS_UDP, 1, 53 } };
	struct {
		struct nlmsghdr head;
		struct nfgenmsg family;
	} batch[3] = { 0 };
	struct plan_network n = {
		.flags = PN_ON | PN_V6,
		.max_connections = 10,
		.idle_s = 60,
		.pool = 4,
	};

	memset(allow, 0, sizeof(allow));
	memset(block, 0, sizeof(block));
	allow[0].host = NET_WILDCARD;
	memcpy(allow[0].name, "example.org", 12);
	allow[0].port = 443;
	allow[1].host = NET_V6;
	allow[1].addr[0] = 0x20;
	allow[1].prefix = 32;
	block[0].host = NET_V4;
	block[0].addr[0] = 10;
	block[0].prefix = 8;
	batch[0].head.nlmsg_type = NFNL_MSG_BATCH_BEGIN;
	batch[1].head.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE;
	batch[2].head.nlmsg_type = NFNL_MSG_BATCH_END;
	for (size_t i = 0; i < 3; i++)
		batch[i].head.nlmsg_len = sizeof(batch[i]);
	head(b)->network = n;
	TABLE(b, network.allow, allow);
	TABLE(b, network.block, block);
	TABLE(b, network.servers, servers);
	TABLE(b, network.sockets, sockets);
	TABLE(b, network.listeners, listeners);
	TABLE(b, network.batch, batch);
	head(b)->network.batch.count = sizeof(batch);
}

static void add_report(struct buf *b)
{
	struct plan_layer layers[LAYERS];
	struct plan_downgrade down[] = { { str(b, "time namespace"),
					   str(b, "not in this kernel") } };
	struct plan_fact facts[] = { { PF_ABSENT, 0, str(b, "/opt"), 0 },
				     { PF_MTIME, 0, str(b, "/etc"), 1234567890123456789 } };
	struct plan_source sources[] = { { str(b, "/etc/purple/profiles/a.yaml"), { 1, 2, 3 } } };

	for (uint32_t i = 0; i < LAYERS; i++)
		layers[i] = (struct plan_layer){ i, LS_ENFORCED, { 0, 0 } };
	layers[LAYER_TIME].state = LS_DOWNGRADED;
	layers[LAYER_TIME].why = str(b, "not in this kernel");
	TABLE(b, layers, layers);
	TABLE(b, downgrades, down);
	TABLE(b, facts, facts);
	TABLE(b, sources, sources);
}

void plan_seal(struct buf *b)
{
	head(b)->size = (uint32_t)b->len;
	head(b)->checksum = plan_checksum(b->data, b->len);
}

void plan_sample(struct buf *b)
{
	struct plan p = {
		.magic = PLAN_MAGIC,
		.version = PLAN_VERSION,
		.key = { 0xab, 0xcd },
		.namespaces = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET,
		.steps = STEP_KEYRING | STEP_LOOPBACK | STEP_NO_NEW_PRIVS | STEP_CLOSE_FDS,
		.securebits = 0x2f,
		.caps_bounding = 1 << 10,
		.caps_permitted = 1 << 10,
		.landlock_fs = 0xffff,
		.landlock_root = 4,
		.landlock_net = 3,
		.landlock_scoped = 3,
		.landlock_abi = 7,
		.umask = 022,
		.root_size = 64 << 20,
		.root_inodes = 4096,
	};
	struct plan_str s;

	buf_add(b, &p, sizeof(p));
	s = str(b, "sample");
	head(b)->profile = s;
	s = str(b, "box");
	head(b)->hostname = s;
	s = str(b, "/home");
	head(b)->working_dir = s;
	add_mounts(b);
	add_process(b);
	add_network(b);
	add_report(b);
	plan_seal(b);
}
