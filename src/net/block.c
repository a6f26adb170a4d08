/* SPDX-License-Identifier: Apache-2.0 */
#include "net/block.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "net/host.h"
#include "net/protocol.h"
#include "sys/raw.h"

static bool rule_is_sane(const struct net_rule *r)
{
	bool address = r->host == NET_V4 || r->host == NET_V6;

	return (unsigned)r->host <= NET_V6 && memchr(r->name, '\0', sizeof(r->name)) &&
	       (!address || r->prefix <= (r->host == NET_V4 ? 32u : 128u));
}

static int check(const struct net_block *b, size_t size)
{
	const struct net_rule *rules = (const struct net_rule *)(b + 1);
	uint32_t count;

	if (b->magic != NET_BLOCK_MAGIC || b->size != size || b->allow_count > NET_RULES_MAX ||
	    b->block_count > NET_RULES_MAX || b->servers_count > NET_SERVERS_MAX)
		return -EINVAL;
	count = b->allow_count + b->block_count;
	if (size != sizeof(*b) + count * sizeof(struct net_rule))
		return -EINVAL;
	if (!b->max_connections || b->max_connections > NET_CONNECTIONS_MAX || !b->idle_s ||
	    b->tell & ~(uint32_t)NET_TELL_ALL || b->pad || b->v6_prefix[0] != 0xfd)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		if (!rule_is_sane(&rules[i]))
			return -EINVAL;
	for (uint32_t i = 0; i < b->servers_count; i++)
		if (!b->servers[i].port || b->servers[i].v6 > 1)
			return -EINVAL;
	return b->bytes_per_second > NET_BANDWIDTH_MAX ? -EINVAL : 0;
}

int net_block_read_into(int fd, struct net_block *b, struct net_rules *rules)
{
	size_t len = 0;
	int r;

	while (len < NET_BLOCK_ROOM) {
		long n = sys_call(SYS_pread64, fd, (char *)b + len, NET_BLOCK_ROOM - len,
				  (off_t)len);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		if (!n)
			break;
		len += (size_t)n;
	}
	if (len < sizeof(*b))
		return -EINVAL;
	r = check(b, len);
	if (r < 0)
		return r;
	rules->allow = (const struct net_rule *)(b + 1);
	rules->allow_count = b->allow_count;
	rules->block = rules->allow + b->allow_count;
	rules->block_count = b->block_count;
	return 0;
}

int net_block_read(int fd, struct net_block **ret, struct net_rules *rules)
{
	_cleanup_free_ struct net_block *b = malloc(NET_BLOCK_ROOM);
	int r = b ? net_block_read_into(fd, b, rules) : -ENOMEM;

	if (r == 0)
		*ret = TAKE_PTR(b);
	return r;
}

unsigned net_parse_resolv_conf(const char *text, struct net_server ret[NET_SERVERS_MAX])
{
	unsigned count = 0;

	for (const char *line = text; *line && count < NET_SERVERS_MAX;) {
		size_t len = strcspn(line, "\n"), word = strlen("nameserver"), blanks, end;
		struct host host;

		if (len > word && !memcmp(line, "nameserver", word)) {
			blanks = strspn(line + word, " \t");
			end = strcspn(line + word + blanks, " \t\r\n");
			if (blanks && !host_parse(line + word + blanks, end, &host) &&
			    host.kind != HOST_NAME) {
				ret[count] = (struct net_server){ .v6 = host.kind == HOST_V6,
								  .port = 53 };
				memcpy(ret[count++].addr, host.addr, sizeof(host.addr));
			}
		}
		line += len + (line[len] == '\n');
	}
	if (!count)
		ret[count++] = (struct net_server){ .port = 53, .addr = { 127, 0, 0, 1 } };
	return count;
}
