/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tried.h"

#include <string.h>

#include "net/special.h"

enum { DNS_PORT = 53 };

static bool is_served(const struct net_rules *rules, uint16_t port)
{
	for (size_t i = 0; i < rules->allow_count; i++)
		if (rules->allow[i].udp && rules->allow[i].port == port)
			return true;
	return port == DNS_PORT;
}

void tried(const struct net_rules *rules, const struct names *names, struct report *report,
	   const char *address, uint16_t port)
{
	char text[HOST_NAME_MAX_LEN + 1];
	struct rules_answer answer;
	struct host target;
	const char *name;

	if (host_parse(address, strlen(address), &target) < 0 || host_is_loopback(&target) ||
	    is_served(rules, port))
		return;
	target = special_unmap(&target);
	name = names_find(names, &target);
	if (!name && names_is_synthetic(names, &target)) {
		report_denied(report, NET_NO_NAME, host_text(&target, text), port, true);
		return;
	}
	if (name)
		target = host_from_name(name);
	answer = rules_connect(rules, &target, port, true);
	if (answer.verdict != RULES_ALLOWED)
		report_refused(report, &answer, host_text(&target, text), NULL, port, true);
}
