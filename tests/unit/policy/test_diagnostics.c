/* SPDX-License-Identifier: Apache-2.0 */
/* Every form of diagnostic: a policy, and the one line that it must get. */
#include "policy_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"

#define HOME "/home/somebody"
#define BIND(path) "filesystem: {immutable_paths: [" path "]}"
#define BINDW(path) "filesystem: {writable_paths: [" path "]}"
#define NET(rule) "network: {isolated: false, allow_outgoing: [" rule "]}"
#define RULE(body) "syscalls: {advanced_rules: [{syscall: ioctl, action: deny" body "}]}"
#define COND(body) RULE(", conditions: [{" body "}]")

/* clang-format off */
static const struct {
	const char *yaml, *line;
} errors[] = {
	/* YAML */
	{ "", "t:1:1: empty; a policy is a map of sections" },
	{ "# only a comment\n", "t:1:1: empty; a policy is a map of sections" },
	{ "- a", "t:1:1: a policy is a map of sections, not a list" },
	{ "hello", "t:1:1: a policy is a map of sections, not text" },
	{ "a: [", "t:2:1: not valid YAML: did not find expected node content" },
	{ "name: a\n---\nname: b\n", "t:2:1: a second document; a policy file holds one" },
	{ "name: \"a\\0b\"", "t:1:7: a NUL byte in a value" },
	{ "name: \xc3\x28", "t:1:8: not UTF-8 text, or a control character in it; save the file as UTF-8" },
	{ "name: \x01", "t:1:7: not UTF-8 text, or a control character in it; save the file as UTF-8" },
	{ "a: &a [*a]", "t:1:8: an alias without an anchor before it, or inside its own anchor" },
	{ "a: *b", "t:1:4: an alias without an anchor before it, or inside its own anchor" },
	{ "[[[[[[[[[[[[[[[[[[", "t:1:17: nested too deeply; 16 levels are the most" },
	{ "name: !python/object x", "t:1:7: unknown tag !python/object; the only one here is !replace, on a list" },
	{ "network: !replace {}", "t:1:10: unknown tag !replace; the only one here is !replace, on a list" },
	/* keys */
	{ "filesytem: {}", "t:1:1: filesytem: unknown key; did you mean filesystem?" },
	{ "enforcment: strict", "t:1:1: enforcment: unknown key; did you mean enforcement?" },
	{ "pids_limit: 3", "t:1:1: pids_limit: unknown key; did you mean resources.pids_limit?" },
	{ "zzzzzz: 3", "t:1:1: zzzzzz: unknown key; `purple profile explain` lists what there is" },
	{ "filesystem.sis: true", "t:1:1: filesystem.sis: unknown key; did you mean filesystem.sys?" },
	{ "network: {network.isolated: true}", "t:1:11: network.network.isolated: unknown key; did you mean isolated?" },
	{ "resources:\n  pid_limit: 3", "t:2:3: resources.pid_limit: unknown key; did you mean pids_limit?" },
	{ "resources:\n  timeout: 3", "t:2:3: resources.timeout: unknown key; did you mean session_timeout_seconds?" },
	{ "resources:\n  memory_limit: 2G", "t:2:3: resources.memory_limit: unknown key; did you mean memory_limit_bytes?" },
	{ "network: {allow_net: [a.b]}", "t:1:11: network.allow_net: unknown key; did you mean allow_outgoing?" },
	{ "network: {workspace: direct}", "t:1:11: network.workspace: unknown key; did you mean filesystem.workspace?" },
	{ "{[a]: b}", "t:1:2: a key must be a word, not a list" },
	{ "<<: {name: a}", "t:1:1: <<: unknown key; `purple profile explain` lists what there is" },
	{ "name: a\nname: b", "t:2:1: name: this key is there twice" },
	{ "audit: {}\naudit: {}", "t:2:1: audit: this section is there twice" },
	{ "resources: {pids_limit: 2, pids: 3}", "t:1:28: resources.pids: this key is there twice" },
	{ "audit: []", "t:1:8: audit: a map is expected here, not a list" },
	{ "extends: default", "t:1:10: extends: no other policy can be read here" },
	/* types */
	{ "name: 7", "t:1:7: name: text is expected here; put quotes around 7" },
	{ "name: true", "t:1:7: name: text is expected here; put quotes around true" },
	{ "name:", "t:1:6: name: text is expected here, not nothing" },
	{ "name: []", "t:1:7: name: text is expected here, not a list" },
	{ "nesting: yes", "t:1:10: nesting: true or false is expected here" },
	{ "nesting: \"true\"", "t:1:10: nesting: true or false is expected here, without quotes" },
	{ "nesting: 1", "t:1:10: nesting: true or false is expected here" },
	{ "resources: {pids_limit: \"64\"}", "t:1:25: resources.pids_limit: a whole number is expected here, without quotes" },
	{ "resources: {pids_limit: 6.5}", "t:1:25: resources.pids_limit: 6.5 is not a whole number" },
	{ "resources: {session_timeout_seconds: 10m}", "t:1:38: resources.session_timeout_seconds: 10m is not a whole number of seconds" },
	{ "resources: {pids_limit: -1}", "t:1:25: resources.pids_limit: -1 is not a whole number" },
	{ "resources: {pids_limit: 010}", "t:1:25: resources.pids_limit: 010 starts with 0; write 0o… for octal, or leave the 0 out" },
	{ "resources: {pids_limit: 0}", "t:1:25: resources.pids_limit: 0 is out of range; write 1 to 4194304" },
	{ "resources: {pids_limit: 99999999999999999999}", "t:1:25: resources.pids_limit: 99999999999999999999 is out of range; write 1 to 4194304" },
	{ "resources: {memory_limit_bytes: 2X}", "t:1:33: resources.memory_limit_bytes: 2X: a size such as 512M or 2G is expected here" },
	{ "resources: {memory_limit_bytes: 4K}", "t:1:33: resources.memory_limit_bytes: 4K is out of range; write 1M to 1024T" },
	{ "resources: {memory_limit_bytes: 99999999T}", "t:1:33: resources.memory_limit_bytes: 99999999T is out of range; write 1M to 1024T" },
	{ "resources: {memory_limit_bytes: ~}", "t:1:33: resources.memory_limit_bytes: a size such as 512M or 2G is expected here, not nothing" },
	{ "resources: {block_io_limit: 50Mbps}", "t:1:29: resources.block_io_limit: 50Mbps: a rate such as 50MBps is expected here" },
	{ "resources: {cpu_shares: abc}", "t:1:25: resources.cpu_shares: abc: a number of cores such as 1.5 is expected here" },
	{ "resources: {cpu_shares: 18446744073709551.999}", "t:1:25: resources.cpu_shares: 18446744073709551.999 is out of range; write 0.01 to 1024" },
	{ "resources: {cpu_shares: 0.001}", "t:1:25: resources.cpu_shares: 0.001 is out of range; write 0.01 to 1024" },
	{ "enforcement: stirct", "t:1:14: enforcement: stirct is unknown; did you mean strict?" },
	{ "enforcement: maybe", "t:1:14: enforcement: maybe is unknown; write one of strict, best-effort" },
	{ "enforcement: []", "t:1:14: enforcement: one of strict, best-effort is expected here, not a list" },
	{ "syscalls: {allow: read}", "t:1:19: syscalls.allow: a list is expected here, not text; write [item, …]" },
	{ "syscalls: {allow: }", "t:1:19: syscalls.allow: a list is expected here, not nothing; write []" },
	{ "syscalls: {allow: [[read]]}", "t:1:20: syscalls.allow[0]: text such as io_uring_setup is expected here, not a list" },
	{ "syscalls: {allow: [read, \"open at\"]}", "t:1:26: syscalls.allow[1]: open at is not the name of a system call" },
	/* paths */
	{ BIND("usr"), "t:1:32: filesystem.immutable_paths[0]: usr is neither absolute nor known; start it with /, ~/ or ./" },
	{ BIND("~bob/x"), "t:1:32: filesystem.immutable_paths[0]: ~bob/x is neither absolute nor known; start it with /, ~/ or ./" },
	{ BIND("\"${USER}/x\""), "t:1:32: filesystem.immutable_paths[0]: ${USER}/x is neither absolute nor known; start it with /, ~/ or ./" },
	{ BIND("/a/../b"), "t:1:32: filesystem.immutable_paths[0]: '..' in a path; write where it leads to" },
	{ BIND("./.."), "t:1:32: filesystem.immutable_paths[0]: '..' in a path; write where it leads to" },
	{ BIND("\"/a\\nb\""), "t:1:32: filesystem.immutable_paths[0]: a control character in a path" },
	{ BIND("\"\""), "t:1:32: filesystem.immutable_paths[0]: an empty path; write one that starts with / or ~/" },
	{ BIND("~"), "t:1:32: filesystem.immutable_paths[0]: a path is expected here; write ~/ for the home directory" },
	{ BIND("7"), "t:1:32: filesystem.immutable_paths[0]: text is expected here; put quotes around 7" },
	{ BIND("/x/$HOME"), "t:1:32: filesystem.immutable_paths[0]: unknown variable in /x/$HOME; known are ${HOME} ${WORKSPACE} ${USER} ${XDG_CONFIG_HOME} ${XDG_CACHE_HOME} ${XDG_DATA_HOME}" },
	{ BIND("{sandbox_path: /a}"), "t:1:32: filesystem.immutable_paths[0]: host_path is missing" },
	{ BIND("{host_paht: /a}"), "t:1:33: filesystem.immutable_paths[0]: unknown key host_paht; did you mean host_path?" },
	{ BIND("{host_path: /a, host_path: /b}"), "t:1:48: filesystem.immutable_paths[0]: host_path is there twice" },
	{ BIND("{host_path: /a, optional: 1}"), "t:1:58: filesystem.immutable_paths[0].optional: true or false is expected here" },
	{ BIND("{host_path: a}"), "t:1:44: filesystem.immutable_paths[0].host_path: a is neither absolute nor known; start it with /, ~/ or ./" },
	{ BIND("[/a]"), "t:1:32: filesystem.immutable_paths[0]: text is expected here, not a list" },
	{ "filesystem: {working_dir: here}", "t:1:27: filesystem.working_dir: here is neither absolute nor known; start it with /, ~/ or ./" },
	/* forbidden places */
	{ BIND("/proc/sys"), "t:1:32: filesystem.immutable_paths[0]: /proc/sys cannot be given: the kernel's processes; see filesystem.proc" },
	{ BIND("/sys"), "t:1:32: filesystem.immutable_paths[0]: /sys cannot be given: the kernel's devices; see filesystem.sys" },
	{ BIND("/dev/sda"), "t:1:32: filesystem.immutable_paths[0]: /dev/sda cannot be given: the host's devices; see devices.allow" },
	{ BIND("/boot"), "t:1:32: filesystem.immutable_paths[0]: /boot cannot be given: the machine's kernels" },
	{ BIND("//root/./.ssh/"), "t:1:32: filesystem.immutable_paths[0]: //root/./.ssh/ cannot be given: the administrator's home; write ~/ for your own" },
	{ BIND("/var/run/docker.sock"), "t:1:32: filesystem.immutable_paths[0]: /var/run/docker.sock cannot be given: a container engine's socket: whoever has it has the machine" },
	{ BIND("/run/user/1000/podman/podman.sock"), "t:1:32: filesystem.immutable_paths[0]: /run/user/1000/podman/podman.sock cannot be given: a container engine" },
	{ BIND("/run/containerd/containerd.sock"), "t:1:32: filesystem.immutable_paths[0]: /run/containerd/containerd.sock cannot be given: a container engine" },
	{ BIND("/"), "t:1:32: filesystem.immutable_paths[0]: / cannot be given, for /proc is in it (the kernel's processes; see filesystem.proc); name what is needed" },
	{ BIND("/run"), "t:1:32: filesystem.immutable_paths[0]: /run cannot be given, for /run/docker.sock is in it (a container engine's socket: whoever has it has the machine); name what is needed" },
	{ BIND("/run/user/1000"), "t:1:32: filesystem.immutable_paths[0]: /run/user/1000 cannot be given, for /run/user/*/docker.sock is in it (a container engine's socket); name what is needed" },
	{ BINDW("/usr/local"), "t:1:31: filesystem.writable_paths[0]: /usr/local cannot be writable: the system's programs" },
	{ BINDW("/etc"), "t:1:31: filesystem.writable_paths[0]: /etc cannot be writable: the system's configuration, and Purple's policies" },
	{ BINDW("\"${XDG_CONFIG_HOME}/purple/profiles\""), "t:1:31: filesystem.writable_paths[0]: ${XDG_CONFIG_HOME}/purple/profiles cannot be writable: Purple's policies" },
	{ BINDW("\"${HOME}\""), "t:1:31: filesystem.writable_paths[0]: ${HOME} cannot be writable, for ~/.config/purple is in it (Purple's policies); name what is needed" },
	{ BIND("{host_path: /a, sandbox_path: /proc/x}"), "t:1:32: filesystem.immutable_paths[0]: /proc/x: /proc is the sandbox's own; nothing can be put there" },
	{ BIND("{host_path: /a, sandbox_path: /}"), "t:1:32: filesystem.immutable_paths[0]: nothing can be put at / itself; name a directory below it" },
	{ "filesystem: {scratch_paths: [/]}", "t:1:30: filesystem.scratch_paths[0]: the root directory itself; name a directory below it" },
	{ "filesystem: {scratch_paths: [/dev/x]}", "t:1:30: filesystem.scratch_paths[0]: /dev/x: /dev is the sandbox's own; nothing can be put there" },
	{ "filesystem: {hide: [\"**/.env\", \"a[b\"]}", "t:1:32: filesystem.hide[1]: a[b is no pattern: a '[' without its ']'; write as \"**/.env\" or \"*.pem\"" },
	{ "filesystem:\n  hide:\n    - ../x\n", "t:3:7: filesystem.hide[0]: ../x is no pattern: '.' and '..' are not possible in it; write as \"**/.env\" or \"*.pem\"" },
	{ "filesystem: {hide: [\"a\\nb\"]}", "t:1:21: filesystem.hide[0]: a control character in a pattern; write ? in its place" },
	/* contradictions */
	{ BIND("/a, {host_path: /b, sandbox_path: /a/}"), "t:1:36: filesystem.immutable_paths[1]: /a/ is taken by filesystem.immutable_paths[0] already; keep one" },
	{ "filesystem: {immutable_paths: [/a], writable_paths: [/a]}", "t:1:54: filesystem.writable_paths[0]: /a is read-only by filesystem.immutable_paths[0] and writable here; keep one" },
	{ "filesystem: {immutable_paths: [/a], scratch_paths: [/a]}", "t:1:53: filesystem.scratch_paths[0]: /a is taken by filesystem.immutable_paths[0] already; keep one" },
	{ "filesystem: {workspace: none, working_dir: .}", "t:1:44: filesystem.working_dir: there is no workspace to start in (filesystem.workspace: none); write /" },
	{ "filesystem: {home: none, working_dir: ~/x}", "t:1:39: filesystem.working_dir: there is no home to start in (filesystem.home: none)" },
	{ "syscalls: {baseline: none}", "t:1:22: syscalls.baseline: none, and nothing is allowed beyond the start of a command; fill syscalls.allow" },
	{ "audit: {enabled: true, log_path: ./log}", "t:1:34: audit.log_path: in the workspace, where the sandbox could change it" },
	{ "audit: {enabled: true, log_path: /srv/a/log}\n" BINDW("/srv"), "t:1:34: audit.log_path: below /srv, where the sandbox could change it" },
	{ "audit: {enabled: true, log_path: /srv/a/log}\n" BIND("/srv"), "t:1:34: audit.log_path: below /srv, where the sandbox could read it" },
	/* rules of system calls */
	{ "syscalls: {advanced_rules: [read]}", "t:1:29: syscalls.advanced_rules[0]: a map with syscall is expected here, not text" },
	{ "syscalls: {advanced_rules: [{action: allow}]}", "t:1:29: syscalls.advanced_rules[0]: syscall is missing" },
	{ "syscalls: {advanced_rules: [{syscall: a}]}", "t:1:29: syscalls.advanced_rules[0]: action is missing" },
	{ "syscalls: {advanced_rules: [{syscall: a, action: kill}]}", "t:1:50: syscalls.advanced_rules[0]: action is allow or deny" },
	{ "syscalls: {advanced_rules: [{syscall: A, action: deny}]}", "t:1:39: syscalls.advanced_rules[0]: A is not the name of a system call" },
	{ RULE(", conditions: 1"), "t:1:72: syscalls.advanced_rules[0]: conditions is a list, not a number" },
	{ COND("op: eq, value: 1"), "t:1:73: syscalls.advanced_rules[0].conditions[0]: arg is missing" },
	{ COND("arg: 6, op: eq, value: 1"), "t:1:79: syscalls.advanced_rules[0].conditions[0].arg: 6 is too large; the most is 5" },
	{ COND("arg: 0, op: equal, value: 1"), "t:1:86: syscalls.advanced_rules[0].conditions[0]: unknown op; write eq, neq, lt, lte, gt, gte, masked_eq or masked_neq" },
	{ COND("arg: 0, op: mask_eq, value: 1"), "t:1:86: syscalls.advanced_rules[0].conditions[0]: unknown op; did you mean masked_eq?" },
	{ COND("arg: 0, op: masked_eq, value: 1"), "t:1:73: syscalls.advanced_rules[0].conditions[0]: mask is missing; masked_eq compares under one" },
	{ COND("arg: 0, op: eq, value: x"), "t:1:97: syscalls.advanced_rules[0].conditions[0].value: x is not a whole number" },
	/* capabilities */
	{ "capabilities: {add: [ALL]}", "t:1:22: capabilities.add[0]: ALL would undo the sandbox; name each capability" },
	{ "capabilities: {add: [CAP_CHWON]}", "t:1:22: capabilities.add[0]: unknown capability CAP_CHWON; did you mean CAP_CHOWN?" },
	{ "capabilities: {drop: [nonsense_here]}", "t:1:23: capabilities.drop[0]: unknown capability nonsense_here; capabilities(7) lists them" },
	/* network */
	{ NET("\"https://a.b\""), "t:1:45: network.allow_outgoing[0]: https://a.b: a URL; write the host and the port alone" },
	{ NET("a.example:443/icmp"), "t:1:45: network.allow_outgoing[0]: a.example:443/icmp: after a port stands nothing, /tcp or /udp" },
	{ NET("'a.example:443,b.example'"), "t:1:45: network.allow_outgoing[0]: a.example:443,b.example: more than one rule; write each by itself" },
	{ NET("*.example.com"), "t:1:46: not valid YAML: did not find expected alphabetic or numeric character; quote a text that starts with '*': \"*.example.com:443\"" },
	{ NET("70000"), "t:1:45: network.allow_outgoing[0]: 70000: not a port; write a number from 1 to 65535" },
	{ "network: {blocked_ips: [\"25\"]}", "t:1:25: network.blocked_ips[0]: 25: write an address, a block such as 10.0.0.0/8, or a name" },
	{ "network: {dns_servers: [dns.example]}", "t:1:25: network.dns_servers[0]: dns.example: write an address such as 9.9.9.9" },
	{ "network: {isolated: false, allow_incoming: [a.b]}", "t:1:45: network.allow_incoming[0]: a.b: write a port such as 8080, or 9000:8080, or 0.0.0.0:80:8080" },
	/* environment, devices, audit */
	{ "environment: {pass: [\"*\"]}", "t:1:22: environment.pass[0]: every variable, secrets too; name those that are needed" },
	{ "environment: {pass: [A-B]}", "t:1:22: environment.pass[0]: A-B is not the name of a variable, nor a beginning and '*'" },
	{ "environment: {set: [A]}", "t:1:20: environment.set: a map of names and values is expected here, not a list" },
	{ "environment: {set: {1A: x}}", "t:1:21: environment.set: 1A is not the name of a variable" },
	{ "environment: {set: {A: }}", "t:1:24: environment.set: A needs a value, not nothing; write \"\" for an empty one" },
	{ "environment: {set: {A: 1, A: 2}}", "t:1:27: environment.set: A is there twice" },
	{ "devices: {allow: [/dev/mem]}", "t:1:19: devices.allow[0]: /dev/mem gives away the whole machine" },
	{ "devices: {allow: [/etc/x]}", "t:1:19: devices.allow[0]: /etc/x: write a node such as /dev/kvm or a CDI device such as vendor.com/class=name" },
	{ "devices: {gpu: [first]}", "t:1:17: devices.gpu[0]: first: write all, or an index from 0 to 255" },
	{ "audit: {detail_level: [syscal]}", "t:1:24: audit.detail_level[0]: syscal; did you mean syscall?" },
	{ "audit: {detail_level: [xyz]}", "t:1:24: audit.detail_level[0]: xyz is no detail; they are resource, filesystem, syscall, network, api_calls, budget_usage, security_events" },
	/* hostile text comes out in one line */
	{ "\"a\\nb\\e[31m\\x9b\": 1", "t:1:1: a\\x0ab\\x1b[31m\\x9b: unknown key; `purple profile explain` lists what there is" },
};
/* clang-format on */

/* clang-format off */
static const struct {
	const char *yaml, *line;
} warnings[] = {
	{ "ai_policy: {budget: [1]}", "t:1:1: ai_policy: warning: this has no effect; Purple does not enforce it" },
	{ "audit: {log_path: /srv/log}", "t:1:19: audit.log_path: warning: this has no effect, for audit.enabled is false; write enabled: true (--audit)" },
	{ "ebpf_monitoring: true", "t:1:1: ebpf_monitoring: warning: this has no effect; Purple does not enforce it" },
	{ "network: {isolated: true, allow_outgoing: [\"443\"]}", "t:1:44: network.allow_outgoing: warning: this has no effect, for network.isolated is true; write isolated: false (--isolated=false)" },
	{ "capabilities: {add: [sys_admin]}", "t:1:22: capabilities.add[0]: warning: CAP_SYS_ADMIN mounts, and undoes most of the sandbox; add it only to programs that you trust" },
	{ "capabilities: {add: [CHOWN], drop: [chown]}", "t:1:22: capabilities.add[0]: warning: CAP_CHOWN is in capabilities.drop too, which wins" },
	{ "capabilities: {add: [CHOWN], drop: [all]}", "t:1:22: capabilities.add: warning: nothing is added, for capabilities.drop names ALL" },
	{ "capabilities: {default_drop: false}", "t:1:30: capabilities.default_drop: warning: the command keeps every capability of its user namespace" },
	{ "syscalls: {default_deny: false}", "t:1:26: syscalls.default_deny: warning: every known call is allowed that no rule denies, but for those that endanger the host, as under baseline: permissive" },
	{ "syscalls: {allow: [ptrace], deny: [ptrace]}", "t:1:20: syscalls.allow[0]: warning: ptrace is in syscalls.deny too, which wins" },
	{ COND("arg: 0, op: eq, value: 1, mask: 3"), "t:1:106: syscalls.advanced_rules[0].conditions[0]: warning: mask has no effect with op eq" },
	{ COND("arg: 0, op: masked_eq, value: 4, mask: 3"), "t:1:104: syscalls.advanced_rules[0].conditions[0]: warning: value has bits outside mask, so the two can never be equal" },
	{ BIND("~/"), "t:1:32: filesystem.immutable_paths[0]: warning: the whole home directory, with its keys and tokens" },
	{ NET("\"*.com\""), "t:1:45: network.allow_outgoing[0]: warning: *.com allows a whole top-level domain" },
	{ NET("\"0.0.0.0/0:443\""), "t:1:45: network.allow_outgoing[0]: warning: 0.0.0.0/0:443 allows every address" },
};
/* clang-format on */

static int check_line(const char *yaml, const char *line, bool error)
{
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	_cleanup_policy_ struct policy p;
	char want[1024];
	int r = parse_text(&p, yaml, &d);

	snprintf(want, sizeof(want), "%s\n", line);
	if ((r < 0) == error && streq(diags_text(&d), want) && d.errors == error &&
	    d.warnings == !error)
		return 0;
	print_error("policy: %s\n  want: %s  got:  %s", yaml, want, diags_text(&d));
	return 1;
}

static void test_errors(void **state)
{
	int wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		wrong += check_line(errors[i].yaml, errors[i].line, true);
	assert_int_equal(wrong, 0);
}

static void test_warnings(void **state)
{
	int wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(warnings); i++)
		wrong += check_line(warnings[i].yaml, warnings[i].line, false);
	assert_int_equal(wrong, 0);
}

/* Whatever would not hold in the host's network is an error. */
static void test_share_host(void **state)
{
	static const struct {
		const char *yaml, *error; /* NULL: none */
	} cases[] = {
		{ "isolated: false", NULL },
		{ "isolated: true", "network.share_host: this contradicts network.isolated: true" },
		{ "loopback: false", "network.loopback: nothing holds this in the host's network" },
		{ "allow_outgoing: [\"443\"]", "network.allow_outgoing: nothing holds this" },
		{ "allow_incoming: [80]", "network.allow_incoming: nothing holds this" },
		{ "blocked_ips: [10.0.0.0/8]", "network.blocked_ips: nothing holds this" },
		{ "dns_servers: [9.9.9.9]", "network.dns_servers: nothing holds this" },
		{ "max_connections: 5", "network.max_connections: nothing holds this" },
		{ "bandwidth: 1MBps", "network.bandwidth: nothing holds this" },
		{ "isolated: false}\nfilesystem: {sys: true", "filesystem.sys needs a network" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_diags_ struct diags d = DIAGS_INIT;
		_cleanup_policy_ struct policy p;
		char yaml[256];

		snprintf(yaml, sizeof(yaml), "network: {share_host: true, %s}\n", cases[i].yaml);
		assert_int_equal(parse_text(&p, yaml, &d), cases[i].error ? -EINVAL : 0);
		assert_int_equal(d.errors, cases[i].error ? 1 : 0);
		assert_int_equal(d.warnings, 0);
		if (cases[i].error && !strstr(diags_text(&d), cases[i].error))
			fail_msg("%s: %s", cases[i].yaml, diags_text(&d));
	}
}

/* Purple's own state is where the environment puts it, links followed. */
static void test_own_state(void **state)
{
	static const struct {
		const char *yaml, *line;
	} cases[] = {
		{ BINDW("/x/config"),
		  "t:1:31: filesystem.writable_paths[0]: /x/config cannot be writable, for /x/config/purple is in it (Purple's policies); name what is needed" },
		{ BINDW("/x/config/purple/profiles"),
		  "t:1:31: filesystem.writable_paths[0]: /x/config/purple/profiles cannot be writable: Purple's policies" },
		{ BINDW("/x"),
		  "t:1:31: filesystem.writable_paths[0]: /x cannot be writable, for /x/config/purple is in it (Purple's policies); name what is needed" },
		{ BINDW("~/tmp/cache"),
		  "t:1:31: filesystem.writable_paths[0]: ~/tmp/cache cannot be writable, for /srv/u/tmp/cache/purple is in it (Purple's own state); name what is needed" },
		{ BINDW("/srv/u/tmp"),
		  "t:1:31: filesystem.writable_paths[0]: /srv/u/tmp cannot be writable, for /srv/u/tmp/cache/purple is in it (Purple's own state); name what is needed" },
		{ BINDW("/srv/u/.config"),
		  "t:1:31: filesystem.writable_paths[0]: /srv/u/.config cannot be writable, for ~/.config/purple is in it (Purple's policies); name what is needed" },
		{ BINDW("/srv/u"),
		  "t:1:31: filesystem.writable_paths[0]: /srv/u cannot be writable, for ~/.config/purple is in it (Purple's policies); name what is needed" },
		{ BIND("/x/config/purple/audit.key"),
		  "t:1:32: filesystem.immutable_paths[0]: /x/config/purple/audit.key cannot be given: the key that the audit trail is signed with" },
		{ BIND("~/.config/purple/audit.key"),
		  "t:1:32: filesystem.immutable_paths[0]: ~/.config/purple/audit.key cannot be given: the key that the audit trail is signed with" },
		{ BIND("/etc/purple/audit.key"),
		  "t:1:32: filesystem.immutable_paths[0]: /etc/purple/audit.key cannot be given: the key that the audit trail is signed with" },
	};
	static const char *const good[] = { BINDW("/x/other"), BINDW("/x/config/purpler"),
					    BINDW("~/tmp/c"), BINDW("/srv/u2"), BIND("/x/config") };
	char link[] = "/tmp/purple-test-XXXXXX", yaml[128];
	struct policy p;
	int wrong = 0;

	setenv("HOME", "/srv//u/", 1);
	setenv("XDG_CONFIG_HOME", "/x//config/", 1);
	setenv("XDG_CACHE_HOME", "/srv/u/tmp/cache", 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		wrong += check_line(cases[i].yaml, cases[i].line, true);
	assert_int_equal(wrong, 0);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		parse_good(&p, good[i]);
		policy_free(&p);
	}
	/* /tmp/purple-test-…/link leads to its own directory. */
	assert_non_null(mkdtemp(link));
	snprintf(yaml, sizeof(yaml), "%s/link", link);
	assert_int_equal(symlink(link, yaml), 0);
	setenv("XDG_CACHE_HOME", yaml, 1);
	snprintf(yaml, sizeof(yaml), BINDW("%s"), link);
	{
		_cleanup_diags_ struct diags d = DIAGS_INIT;

		assert_true(parse_text(&p, yaml, &d) < 0);
		policy_free(&p);
	}
	unlink(getenv("XDG_CACHE_HOME"));
	setenv("XDG_CACHE_HOME", "/nonexistent", 1);
	parse_good(&p, yaml);
	policy_free(&p);
	rmdir(link);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("XDG_CACHE_HOME");
	/* Root's home is nobody else's. */
	setenv("HOME", "/root", 1);
	parse_good(&p, BINDW("/root/.npm"));
	policy_free(&p);
	wrong += check_line(BINDW("/root/.config"),
			    "t:1:31: filesystem.writable_paths[0]: /root/.config cannot be "
			    "writable, for ~/.config/purple is in it (Purple's policies); name "
			    "what is needed",
			    true);
	assert_int_equal(wrong, 0);
	setenv("HOME", HOME, 1);
}

/* One pass finds them all, and a flood is cut. */
static void test_all_at_once(void **state)
{
	_cleanup_diags_ struct diags d = DIAGS_INIT, many = DIAGS_INIT;
	_cleanup_policy_ struct policy p, q;
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);

	assert_true(parse_text(&p, "nme: a\nnesting: 1\nresources: {pids_limit: 0, x: 1}\n", &d) <
		    0);
	assert_int_equal(d.errors, 4);
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "k%d: 1\n", i);
	assert_true(policy_parse(&q, "t", b.data, b.len, NULL, &many) < 0);
	assert_int_equal(many.errors, DIAGS_MAX);
}

static void test_limits(void **state)
{
	static const char bomb[] =
		"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
		"c: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n"
		"e: &e [*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e]\n";
	_cleanup_buf_ struct buf b = BUF_INIT(8 << 20);
	_cleanup_diags_ struct diags d = DIAGS_INIT;
	_cleanup_policy_ struct policy p;

	assert_int_equal(check_line(bomb,
				    "t:5:4: too large: more than 65536 values, aliases written out",
				    true),
			 0);
	buf_puts(&b, "syscalls: {allow: [a");
	for (int i = 0; i < POLICY_LIST_MAX; i++)
		buf_puts(&b, ",a");
	buf_puts(&b, "]}");
	assert_int_equal(
		check_line(b.data, "t:1:8212: too many items; a list or a map may have 4096", true),
		0);
	b.len = 0;
	for (int i = 0; i < POLICY_FILE_MAX / 8 + 1; i++)
		buf_puts(&b, "# 345678\n");
	assert_int_equal(check_line(b.data, "t: too large; a policy file may have 1 MiB", true), 0);
	assert_true(policy_parse(&p, "t", "name: a\0b", 9, NULL, &d) < 0);
	assert_string_equal(diags_text(&d), "t:1:8: a NUL byte; a policy is text\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),	    cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_share_host),  cmocka_unit_test(test_own_state),
		cmocka_unit_test(test_all_at_once), cmocka_unit_test(test_limits),
	};

	/* What a policy may name depends on the caller's home. */
	setenv("HOME", HOME, 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("XDG_CACHE_HOME");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
