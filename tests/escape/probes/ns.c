/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns same TYPE LINK   is /proc/self/ns/TYPE the namespace that LINK names?
 * ns cgroup PATH      does /proc/self/cgroup tell the path that the host knows?
 * ns hostname NAME    is this the host's name?
 * ns sethostname      can it be changed?
 */
#include "probe.h"

static void same(const char *type, const char *host)
{
	char path[64], link[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", type);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		verdict(CANNOT, "%s: %s", path, strerror(errno));
	link[n] = '\0';
	verdict(strcmp(link, host) == 0 ? ESCAPED : CONTAINED, "%s is %s, the host's %s", path,
		link, host);
}

static void cgroup(const char *path)
{
	char line[512];
	FILE *f = fopen("/proc/self/cgroup", "re");

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, path))
			verdict(ESCAPED, "%.*s", (int)strcspn(line, "\n"), line);
	verdict(f ? CONTAINED : CANNOT, "no %s in /proc/self/cgroup", path);
}

int main(int argc, char **argv)
{
	char name[65] = "";

	if (argc == 4 && strcmp(argv[1], "same") == 0)
		same(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "cgroup") == 0)
		cgroup(argv[2]);
	if (argc == 3 && strcmp(argv[1], "hostname") == 0) {
		gethostname(name, sizeof(name) - 1);
		verdict(strcmp(name, argv[2]) == 0 ? ESCAPED : CONTAINED,
			"the host name is %s, the host's %s", name, argv[2]);
	}
	if (argc == 2 && strcmp(argv[1], "sethostname") == 0)
		judge(sethostname("probe", 5), "sethostname");
	usage("ns same TYPE LINK|cgroup PATH|hostname NAME|sethostname");
}
