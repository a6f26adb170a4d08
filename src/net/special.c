/* SPDX-License-Identifier: Apache-2.0 */
#include "net/special.h"

#include <string.h>

#include "base/macros.h"

/* A smaller range stands before a larger one that it is in. */
/* clang-format off */
static const struct special_range ranges[] = {
	/* What answers anybody with the machine's credentials. */
	{ "metadata service",	{ 169, 254, 169, 254 }, 32 },	/* AWS, GCP, Azure, … */
	{ "metadata service",	{ 169, 254, 170, 2 }, 32 },	/* AWS ECS */
	{ "metadata service",	{ 169, 254, 170, 23 }, 32 },	/* AWS EKS */
	{ "metadata service",	{ 100, 100, 100, 200 }, 32 },	/* Alibaba */
	{ "metadata service",	{ 192, 0, 0, 192 }, 32 },	/* Oracle, the first generation */
	{ "metadata service",	{ 168, 63, 129, 16 }, 32 },	/* Azure's WireServer */

	{ "this network",	{ 0 }, 8 },			/* RFC 791; Linux: itself */
	{ "private",		{ 10 }, 8 },			/* RFC 1918 */
	{ "shared",		{ 100, 64 }, 10 },		/* RFC 6598 */
	{ "loopback",		{ 127 }, 8 },			/* RFC 1122 */
	{ "link-local",		{ 169, 254 }, 16 },		/* RFC 3927 */
	{ "private",		{ 172, 16 }, 12 },		/* RFC 1918 */
	{ "protocol assignments", { 192, 0, 0 }, 24 },		/* RFC 6890 */
	{ "documentation",	{ 192, 0, 2 }, 24 },		/* RFC 5737 */
	{ "6to4 relay",		{ 192, 88, 99 }, 24 },		/* RFC 7526 */
	{ "private",		{ 192, 168 }, 16 },		/* RFC 1918 */
	{ "benchmarking",	{ 198, 18 }, 15 },		/* RFC 2544 */
	{ "documentation",	{ 198, 51, 100 }, 24 },		/* RFC 5737 */
	{ "documentation",	{ 203, 0, 113 }, 24 },		/* RFC 5737 */
	{ "multicast",		{ 224 }, 4 },			/* RFC 5771 */
	{ "broadcast",		{ 255, 255, 255, 255 }, 32 },	/* RFC 919 */
	{ "reserved",		{ 240 }, 4 },			/* RFC 1112 */

	{ "metadata service",	{ 0xfd, 0, 0x0e, 0xc2, [14] = 2, 0x54 }, 128, true }, /* AWS */
	{ "metadata service",	{ 0xfd, 0, 0x0e, 0xc2, [15] = 0x23 }, 128, true }, /* AWS EKS */
	{ "metadata service",	{ 0xfd, 0x20, 0, 0xce, [14] = 2, 0x54 }, 128, true }, /* GCP */

	{ "unspecified",	{ 0 }, 128, true },		/* RFC 4291; Linux: itself */
	{ "loopback",		{ [15] = 1 }, 128, true },	/* RFC 4291 */
	{ "IPv4-compatible",	{ 0 }, 96, true },		/* RFC 4291 */
	{ "SIIT",		{ [8] = 0xff, 0xff }, 96, true }, /* RFC 2765 */
	{ "local NAT64",	{ 0, 0x64, 0xff, 0x9b, 0, 1 }, 48, true }, /* RFC 8215 */
	{ "discard-only",	{ 1 }, 64, true },		/* RFC 6666 */
	{ "Teredo",		{ 0x20, 1 }, 32, true },	/* RFC 4380 */
	{ "protocol assignments", { 0x20, 1 }, 23, true },	/* RFC 2928 */
	{ "documentation",	{ 0x20, 1, 0xd, 0xb8 }, 32, true }, /* RFC 3849 */
	{ "6to4",		{ 0x20, 2 }, 16, true },	/* RFC 3056 */
	{ "documentation",	{ 0x3f, 0xff }, 20, true },	/* RFC 9637 */
	{ "segment identifiers", { 0x5f }, 16, true },		/* RFC 9602 */
	{ "private",		{ 0xfc }, 7, true },		/* RFC 4193 */
	{ "link-local",		{ 0xfe, 0x80 }, 10, true },	/* RFC 4291 */
	{ "site-local",		{ 0xfe, 0xc0 }, 10, true },	/* RFC 3879 */
	{ "multicast",		{ 0xff }, 8, true },		/* RFC 4291 */
	/* All but 2000::/3, which is what is given out: RFC 4291 §2.4. */
	{ "reserved",		{ 0 }, 3, true },
	{ "reserved",		{ 0x40 }, 2, true },
	{ "reserved",		{ 0x80 }, 1, true },
};
/* clang-format on */

static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b };

bool special_prefix_equal(const uint8_t *a, const uint8_t *b, unsigned prefix)
{
	unsigned bytes = prefix / 8, bits = prefix % 8;

	return memcmp(a, b, bytes) == 0 &&
	       (bits == 0 || ((a[bytes] ^ b[bytes]) & (0xff00u >> bits & 0xffu)) == 0);
}

static struct host v4(const uint8_t *addr)
{
	struct host h = { .kind = HOST_V4 };

	memcpy(h.addr, addr, 4);
	return h;
}

struct host special_unmap(const struct host *addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };

	if (addr->kind == HOST_V6 && memcmp(addr->addr, mapped, sizeof(mapped)) == 0)
		return v4(addr->addr + 12);
	return *addr;
}

unsigned special_embedded(const struct host *addr, struct host ret[SPECIAL_EMBEDDED_MAX])
{
	static const uint8_t zero[12], siit[12] = { [8] = 0xff, 0xff }, sixto4[2] = { 0x20, 2 },
				       teredo[4] = { 0x20, 1 }, isatap[4] = { 0, 0, 0x5e, 0xfe };
	const uint8_t *a = addr->addr;
	uint8_t client[4];

	if (addr->kind != HOST_V6)
		return 0;
	if (memcmp(a, sixto4, sizeof(sixto4)) == 0) {
		ret[0] = v4(a + 2);
		return 1;
	}
	if (memcmp(a, teredo, sizeof(teredo)) == 0) {
		ret[0] = v4(a + 4); /* the server; the client's address is stored inverted */
		for (unsigned i = 0; i < 4; i++)
			client[i] = (uint8_t)~a[12 + i];
		ret[1] = v4(client);
		return 2;
	}
	/* ISATAP: the universal bit (2) may be set or not. */
	if (memcmp(a, zero, 12) != 0 && memcmp(a, siit, 12) != 0 && memcmp(a, nat64, 12) != 0 &&
	    ((a[8] & ~2u) != 0 || memcmp(a + 9, isatap + 1, 3) != 0))
		return 0;
	ret[0] = v4(a + 12);
	return 1;
}

const struct special_range *special_find(const struct host *addr, unsigned *prefix)
{
	struct host inner;
	const struct special_range *s;

	*prefix = 0;
	if (addr->kind == HOST_V6 && memcmp(addr->addr, nat64, sizeof(nat64)) == 0) {
		inner = v4(addr->addr + 12);
		s = special_find(&inner, prefix);
		*prefix += s ? 96 : 0;
		return s;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		s = &ranges[i];
		if (s->v6 == (addr->kind == HOST_V6) &&
		    special_prefix_equal(s->addr, addr->addr, s->prefix)) {
			*prefix = s->prefix;
			return s;
		}
	}
	return NULL;
}
