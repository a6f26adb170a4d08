/* SPDX-License-Identifier: Apache-2.0 */
#include "net/socks.h"

#include <string.h>

enum { VERSION4 = 4, VERSION5 = 5, CONNECT = 1, UDP_ASSOCIATE = 3 };
enum { ATYP_V4 = 1, ATYP_NAME = 3, ATYP_V6 = 4 };

enum socks_result socks_read_greeting(const uint8_t *data, size_t len, size_t *used)
{
	size_t end;

	*used = 0;
	if (len == 0)
		return SOCKS_MORE;
	if (data[0] != VERSION5)
		return data[0] == VERSION4 ? SOCKS_V4 : SOCKS_BAD;
	if (len < 2)
		return SOCKS_MORE;
	if (data[1] == 0)
		return SOCKS_BAD;
	end = 2u + data[1];
	if (len < end)
		return SOCKS_MORE;
	*used = end;
	return memchr(data + 2, SOCKS_METHOD_NO_AUTH, data[1]) ? SOCKS_DONE : SOCKS_AUTH;
}

static enum socks_result fail(struct socks_request *ret, enum socks_result result,
			      enum socks_reply reply)
{
	ret->host = (struct host){ .kind = HOST_NAME };
	ret->port = 0;
	ret->reply = reply;
	return result;
}

/* The address at @data, @size bytes; a name without its length. */
static int read_host(unsigned atyp, const uint8_t *data, size_t size, struct host *ret)
{
	if (atyp == ATYP_NAME)
		return host_parse((const char *)data, size, ret);
	ret->kind = atyp == ATYP_V4 ? HOST_V4 : HOST_V6;
	memcpy(ret->addr, data, size);
	return 0;
}

enum socks_result socks_read_request(const uint8_t *data, size_t len, struct socks_request *ret,
				     size_t *used)
{
	size_t at = 4, size;

	*used = 0;
	*ret = (struct socks_request){ .reply = SOCKS_OK };
	if (len > 0 && data[0] != VERSION5)
		return fail(ret, SOCKS_BAD, SOCKS_FAILURE);
	if (len > 1 && data[1] != CONNECT)
		return data[1] >= 1 && data[1] <= UDP_ASSOCIATE
			       ? fail(ret, SOCKS_REFUSE, SOCKS_NO_COMMAND)
			       : fail(ret, SOCKS_BAD, SOCKS_NO_COMMAND);
	if (len > 2 && data[2] != 0)
		return fail(ret, SOCKS_BAD, SOCKS_FAILURE);
	if (len > 3 && data[3] != ATYP_V4 && data[3] != ATYP_NAME && data[3] != ATYP_V6)
		return fail(ret, SOCKS_BAD, SOCKS_NO_ADDRESS_TYPE);
	if (len < 5)
		return SOCKS_MORE;
	size = data[3] == ATYP_V4 ? 4 : 16;
	if (data[3] == ATYP_NAME)
		size = data[at++];
	if (len < at + size + 2)
		return SOCKS_MORE;
	if (read_host(data[3], data + at, size, &ret->host) < 0)
		return fail(ret, SOCKS_BAD, SOCKS_NOT_ALLOWED);
	at += size;
	ret->port = (uint16_t)(data[at] << 8 | data[at + 1]);
	if (ret->port == 0)
		return fail(ret, SOCKS_BAD, SOCKS_FAILURE);
	*used = at + 2;
	return SOCKS_DONE;
}

void socks_write_reply(enum socks_reply reply, uint8_t ret[SOCKS_REPLY_SIZE])
{
	memset(ret, 0, SOCKS_REPLY_SIZE);
	ret[0] = VERSION5;
	ret[1] = (uint8_t)reply;
	ret[3] = ATYP_V4;
}
