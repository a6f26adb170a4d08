/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/keys.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "policy/check.h"

static const char *const names_enforcement[] = { "strict", "best-effort", NULL };
static const char *const names_workspace[] = { "direct", "read-only", "none",
					       "review", "scratch",   NULL };
static const char *const names_home[] = { "scratch", "none", NULL };
static const char *const names_proc[] = { "masked", "pids-only", "none", NULL };
static const char *const names_baseline[] = { "default", "strict", "permissive", "none", NULL };
static const char *const names_on_failure[] = { "stop", "warn", NULL };

_Static_assert(ARRAY_SIZE(names_enforcement) == ENFORCE_BEST_EFFORT + 2, "enum and names");
_Static_assert(ARRAY_SIZE(names_workspace) == WS_SCRATCH + 2, "enum and names");
_Static_assert(ARRAY_SIZE(names_home) == HOME_NONE + 2, "enum and names");
_Static_assert(ARRAY_SIZE(names_proc) == PROC_NONE + 2, "enum and names");
_Static_assert(ARRAY_SIZE(names_baseline) == BASELINE_NONE + 2, "enum and names");
_Static_assert(ARRAY_SIZE(names_on_failure) == AUDIT_WARN + 2, "enum and names");

#define AT(field) .offset = offsetof(struct policy, field)
#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define TIB ((uint64_t)1 << 40)
#define DAY ((uint64_t)24 * 3600)

/* clang-format off */
const struct policy_key policy_keys[] = {
	{ "name", KEY_TEXT, AT(name),
	  .help = "What the policy is called in listings and reports." },
	{ "description", KEY_TEXT, AT(description), .help = "One line for people." },
	{ "extends", KEY_EXTENDS, .form = "python",
	  .help = "A profile to start from, or a file if there is a '/' in it (relative to this "
		  "file's directory). Single values here win, lists append; write !replace before "
		  "a list to drop what the parent had." },
	{ "enforcement", KEY_ENUM, AT(enforcement), .fallback = "strict",
	  .names = names_enforcement, .option = "enforcement",
	  .help = "strict: a layer that the kernel cannot give is an error. best-effort: it is "
		  "left out, with a warning, and shown in the plan." },
	{ "nesting", KEY_BOOL, AT(nesting), .fallback = "false", .option = "nesting",
	  .help = "Programs inside may create user namespaces, as browsers and other sandboxes "
		  "do. This opens a large part of the kernel to them." },
	{ "locked", KEY_BOOL, AT(locked), .fallback = "false",
	  .help = "No option may change this policy and no other policy may extend it. For "
		  "administrators, in /etc/purple/profiles." },

	{ "filesystem.immutable_paths", KEY_BINDS, AT(filesystem.immutable_paths),
	  .option = "ro", .aliases = { "filesystem.read_only_paths" },
	  .help = "Paths of the host that are there, read-only." },
	{ "filesystem.writable_paths", KEY_BINDS, AT(filesystem.writable_paths), .option = "rw",
	  .help = "Paths of the host that are there and can be written." },
	{ "filesystem.output_paths", KEY_BINDS, AT(filesystem.output_paths), .option = "output",
	  .help = "Directories of the host that take results. Inside, each is an empty box: the "
		  "command creates files and directories in it, and may neither read nor list it. "
		  "When the sandbox has ended, what is in it is moved out; where the host has a file "
		  "of that name, it is not overwritten, and the sandbox's id is put behind the new "
		  "name. Links are not taken along. A box lies in nothing that may be read: "
		  "{host_path: ~/results, sandbox_path: /out}." },
	{ "filesystem.overlays", KEY_OVERLAYS, AT(filesystem.overlays), .option = "overlay",
	  .help = "Directories of the host that can be written without being changed: {path: "
		  "/opt/data, mode: review} (--overlay /opt/data:review). review: what is changed "
		  "is kept, as NAME:1, NAME:2, … beside the workspace's own NAME, for purple diff, "
		  "apply and discard. scratch: it is thrown away. workspace.max_bytes and "
		  "max_files are for all in review together." },
	{ "filesystem.scratch_paths", KEY_LIST, AT(filesystem.scratch_paths),
	  .check = check_inner_path, .form = "/tmp", .option = "scratch",
	  .help = "Empty directories in memory that end with the sandbox. /tmp and /var/tmp are "
		  "there without being named. Where an output path is the same, it wins." },
	{ "filesystem.hide", KEY_LIST, AT(filesystem.hide), .check = check_pattern,
	  .form = "\"**/.env\"", .option = "hide",
	  .help = "Files and directories of the workspace, and of the other paths that are given, "
		  "which are not readable inside: patterns as gitignore has them. They look empty "
		  "and can be neither changed nor moved." },
	{ "filesystem.protect", KEY_LIST, AT(filesystem.protect), .check = check_protect,
	  .form = "*.conf", .option = "protect",
	  .help = "Patterns, as gitignore(5) has them, of paths that cannot be made, written, "
		  "moved or removed in a workspace that is direct: what the host would run or "
		  "obey by itself. Added to those that are protected without being named (`purple "
		  "plan` lists them); '!PATTERN' takes some out, and [] or '!**' takes out all. "
		  "The last that matches decides." },
	{ "filesystem.working_dir", KEY_PATH, AT(filesystem.working_dir), .fallback = ".",
	  .option = "workdir",
	  .help = "Where the command starts. '.' is the workspace, or / if there is none." },
	{ "filesystem.workspace", KEY_ENUM, AT(filesystem.workspace), .fallback = "direct",
	  .names = names_workspace, .option = "workspace",
	  .help = "The directory that the sandbox was started in. direct: writable. read-only. "
		  "none: not there. review: changes are kept aside: `purple diff` shows them, "
		  "`purple apply` lands them. scratch: changes are thrown away." },
	{ "filesystem.home", KEY_ENUM, AT(filesystem.home), .fallback = "scratch",
	  .names = names_home, .option = "home",
	  .help = "The home directory. scratch: empty, and gone at the end. none: not there." },
	{ "filesystem.proc", KEY_ENUM, AT(filesystem.proc), .fallback = "masked",
	  .names = names_proc, .option = "proc",
	  .help = "masked: /proc without what tells of or changes the whole kernel. pids-only: "
		  "nothing but the sandbox's processes. none: no /proc." },
	{ "filesystem.sys", KEY_BOOL, AT(filesystem.sys), .fallback = "false", .option = "sys",
	  .help = "A read-only /sys with the parts masked that tell of the hardware." },
	{ "filesystem.system", KEY_BOOL, AT(filesystem.system), .fallback = "true",
	  .option = "system",
	  .help = "The host's programs and libraries (/usr, /bin, /lib and what they need of "
		  "/etc), read-only." },
	{ "filesystem.scratch_bytes", KEY_SIZE, AT(filesystem.scratch_bytes), .min = 64 * KIB,
	  .max = TIB, .fallback = "512M", .option = "scratch-size",
	  .help = "How much all scratch directories together may hold." },

	{ "filesystem.output_bytes", KEY_SIZE, AT(filesystem.output_bytes), .min = 64 * KIB,
	  .max = TIB, .fallback = "512M", .option = "output-size",
	  .help = "How much each of output_paths may take; it is in memory until the end." },

	{ "workspace.max_bytes", KEY_SIZE, AT(workspace.max_bytes), .min = 64 * KIB, .max = TIB,
	  .option = "workspace-size",
	  .help = "How much may be changed in a workspace that is in review or scratch. At the "
		  "limit the sandbox ends, or writing fails where the changes are in memory. "
		  "Without it: no limit, or half of the memory." },
	{ "workspace.max_files", KEY_COUNT, AT(workspace.max_files), .min = 16, .max = 1 << 30,
	  .option = "workspace-files",
	  .help = "Likewise, how many files and directories." },

	{ "syscalls.baseline", KEY_ENUM, AT(syscalls.baseline), .fallback = "default",
	  .names = names_baseline, .option = "syscalls",
	  .help = "The system calls to start from. default: what ordinary programs need. strict: "
		  "a short list. permissive: all but those that endanger the host. none: what "
		  "every command needs to start, and what this policy allows." },
	{ "syscalls.default_deny", KEY_BOOL, AT(syscalls.default_deny), .fallback = "true",
	  .help = "What neither the baseline nor a rule names is denied." },
	{ "syscalls.kill", KEY_BOOL, AT(syscalls.kill), .fallback = "false", .option = "kill",
	  .help = "A denied call ends the process. Otherwise it fails with EPERM, which programs "
		  "report better." },
	{ "syscalls.allow", KEY_LIST, AT(syscalls.allow), .check = check_syscall,
	  .form = "io_uring_setup", .option = "allow-syscall",
	  .help = "System calls allowed on top of the baseline." },
	{ "syscalls.deny", KEY_LIST, AT(syscalls.deny), .check = check_syscall, .form = "ptrace",
	  .option = "deny-syscall", .help = "System calls denied, whatever else allows them." },
	{ "syscalls.advanced_rules", KEY_SYSRULES, AT(syscalls.advanced_rules),
	  .help = "Rules that look at arguments: {syscall, action: allow or deny, conditions: "
		  "[{arg: 0-5, op: eq neq lt lte gt gte masked_eq masked_neq, value, mask}]}. All "
		  "conditions of a rule must hold." },

	{ "resources.cpu_shares", KEY_CORES, AT(resources.cpu_millis), .min = 10,
	  .max = 1024 * 1000, .option = "cpus", .aliases = { "resources.cpus" },
	  .help = "How many processor cores' worth of time all processes together may use." },
	{ "resources.cpu_weight", KEY_COUNT, AT(resources.cpu_weight), .min = 1, .max = 10000,
	  .option = "cpu-weight",
	  .help = "The share of a busy machine's processors, beside others' 100." },
	{ "resources.cpuset", KEY_LIST, AT(resources.cpuset), .check = check_cpus, .form = "0-1",
	  .option = "cpuset", .help = "The processors that may be used, by number." },
	{ "resources.memory_limit_bytes", KEY_SIZE, AT(resources.memory_limit_bytes), .min = MIB,
	  .max = 1024 * TIB, .option = "memory", .aliases = { "resources.memory" },
	  .help = "How much memory all processes together may use; scratch directories count. "
		  "Beyond it the kernel ends the largest." },
	{ "resources.swap_limit_bytes", KEY_SIZE, AT(resources.swap_limit_bytes), .min = 0,
	  .max = 1024 * TIB, .option = "swap", .aliases = { "resources.swap" },
	  .help = "How much swap they may use beside memory_limit_bytes. Without it: none." },
	{ "resources.pids_limit", KEY_COUNT, AT(resources.pids_limit), .min = 1, .max = 4194304,
	  .option = "pids-limit", .aliases = { "resources.pids" },
	  .help = "How many processes and threads there may be at once." },
	{ "resources.block_io_limit", KEY_RATE, AT(resources.block_io_limit), .min = 4 * KIB,
	  .max = TIB, .option = "io-limit",
	  .help = "How fast all processes together may read, and write, each block device. "
		  "cgroups version 1 do not count what the kernel writes back later." },
	{ "resources.session_timeout_seconds", KEY_COUNT, AT(resources.session_timeout_seconds),
	  .min = 1, .max = 366 * DAY, .option = "timeout",
	  .help = "After this time the sandbox is ended; the exit status is 124." },
	{ "resources.cpu_time_seconds", KEY_COUNT, AT(resources.cpu_time_seconds), .min = 1,
	  .max = 366 * DAY, .option = "cpu-time",
	  .help = "How much processor time all processes together may use; then the sandbox is ended, and "
		  "the exit status is 124." },
	{ "resources.kill_grace_seconds", KEY_COUNT, AT(resources.kill_grace_seconds), .min = 0,
	  .max = 3600, .fallback = "5", .option = "kill-grace",
	  .help = "How long processes have between SIGTERM and SIGKILL when a sandbox is ended." },
	{ "resources.open_files", KEY_COUNT, AT(resources.open_files), .min = 8, .max = 1 << 20,
	  .option = "open-files", .help = "How many files a single process may have open." },
	{ "resources.file_size_bytes", KEY_SIZE, AT(resources.file_size_bytes), .min = 0,
	  .max = 1024 * TIB, .option = "file-size", .help = "How large a single file may become." },
	{ "resources.core_size_bytes", KEY_SIZE, AT(resources.core_size_bytes), .min = 0,
	  .max = TIB, .fallback = "0", .option = "core-size",
	  .help = "How large a core dump may be; 0 means none is written." },
	{ "resources.stack_bytes", KEY_SIZE, AT(resources.stack_bytes), .min = 64 * KIB, .max = TIB,
	  .option = "stack-size", .help = "How large the stack of a process may become." },

	{ "capabilities.default_drop", KEY_BOOL, AT(capabilities.default_drop),
	  .fallback = "true", .help = "The command has no capability but those of `add`." },
	{ "capabilities.add", KEY_LIST, AT(capabilities.add), .check = check_cap_add,
	  .form = "CAP_NET_BIND_SERVICE", .option = "cap-add",
	  .help = "Capabilities that the command keeps, within its own user namespace." },
	{ "capabilities.drop", KEY_LIST, AT(capabilities.drop), .check = check_cap_drop,
	  .form = "CAP_NET_RAW", .option = "cap-drop",
	  .help = "Capabilities that are dropped, whatever `add` says. ALL names every one." },

	{ "network.isolated", KEY_BOOL, AT(network.isolated), .fallback = "true",
	  .option = "isolated",
	  .help = "No network at all. This beats every rule of the section." },
	{ "network.loopback", KEY_BOOL, AT(network.loopback), .fallback = "true",
	  .option = "loopback", .help = "Programs inside may talk to each other over 127.0.0.1." },
	{ "network.share_host", KEY_BOOL, AT(network.share_host), .fallback = "false",
	  .option = "share-host-network",
	  .help = "Dangerous. The sandbox has no network of its own: it may connect to whatever this "
		  "host reaches, to all that listens on the host's own loopback too, and listen "
		  "itself. No rule of the section holds then. Each start warns." },
	{ "network.allow_outgoing", KEY_LIST, AT(network.allow_outgoing), .check = check_net_rule,
	  .form = "\"api.example.com:443\"", .option = "allow-net",
	  .help = "Where connections may go: \"443\" (any host), \"api.example.com\" (any port), "
		  "\"*.example.com:443\", \"10.0.0.0/8:5432\", \"8.8.8.8:53/udp\", "
		  "\"[2001:db8::/32]:443\". Nothing else is reachable. "
		  "\"host.purple.internal:5432\" is port 5432 of this host's own loopback. Before "
		  "the name of a wildcard stand up to 4 labels of up to 96 bytes in all, and "
		  "after 100 different names it takes a new one every 2 seconds. A rule for UDP "
		  "(\"…/udp\") names the port, which no program inside can then have for itself. "
		  "Port 53 is Purple's own server of names, whatever address is asked, but for "
		  "UDP to a server that such a rule lists." },
	{ "network.allow_incoming", KEY_LIST, AT(network.allow_incoming),
	  .check = check_net_listen, .form = "\"8080\"", .option = "publish",
	  .help = "TCP ports of the sandbox that the host listens for, [ADDRESS:][PORT:]INSIDE: "
		  "\"8080\" (127.0.0.1 and ::1), \"9000:8080\" (port 9000 of the host), "
		  "\"0.0.0.0:80:8080\", \"[::]:80:8080\"." },
	{ "network.blocked_ips", KEY_LIST, AT(network.blocked_ips), .check = check_net_target,
	  .form = "\"169.254.0.0/16\"", .option = "block-net",
	  .help = "Addresses and names that are refused, whatever allow_outgoing says." },
	{ "network.dns_servers", KEY_LIST, AT(network.dns_servers), .check = check_net_addr,
	  .form = "\"9.9.9.9\"", .option = "dns",
	  .help = "Who resolves allowed names on the host's side. Without it, the host's own "
		  "resolver does." },
	{ "network.max_connections", KEY_COUNT, AT(network.max_connections), .min = 1, .max = 16384,
	  .fallback = "1024", .option = "max-connections",
	  .help = "How many connections to the outside there may be at once, and how many flows "
		  "of UDP. Further ones are refused; those to published ports count too, and wait. "
		  "Where the host lets a process open fewer files than that needs (six each, and "
		  "one for UDP), there are fewer." },
	{ "network.bandwidth", KEY_RATE, AT(network.bandwidth), .min = 4 * KIB, .max = TIB,
	  .option = "bandwidth",
	  .help = "How many bytes a second all connections to the outside, or from it, and UDP may "
		  "carry together, each way. They share it evenly. Look-ups of names do not "
		  "count." },

	{ "environment.pass", KEY_LIST, AT(environment.pass), .check = check_env_pass,
	  .form = "OPENAI_*", .option = "pass-env",
	  .help = "Variables handed on from the caller: a name, or a beginning and '*'. One that Purple "
		  "sets itself (PATH, HOME, USER, LOGNAME, SHELL) is then the caller's, or unset." },
	{ "environment.set", KEY_ENVS, AT(environment.set), .form = "NAME: value", .option = "env",
	  .help = "Variables with a value of their own." },

	{ "devices.allow", KEY_LIST, AT(devices.allow), .check = check_device, .form = "/dev/kvm",
	  .option = "device",
	  .help = "Devices of the host: a node of /dev, or the name of a CDI device.",
	  .not_yet = NOT_YET_ANY },
	{ "devices.gpu", KEY_LIST, AT(devices.gpu), .check = check_gpu, .form = "all",
	  .option = "gpu", .help = "Graphics processors: all, or a list of indices.",
	  .not_yet = NOT_YET_ANY },

	{ "audit.enabled", KEY_BOOL, AT(audit.enabled), .fallback = "false", .option = "audit",
	  .help = "What happens is written down, in a trail that shows when it was changed; "
		  "`purple audit` reads it." },
	{ "audit.log_path", KEY_PATH, AT(audit.log_path), .option = "audit-log",
	  .help = "The file of the host that the trail is appended to. Without it: "
		  "purple/audit.jsonl in the user's state directory, as root "
		  "/var/lib/purple/audit.jsonl." },
	{ "audit.detail_level", KEY_LIST, AT(audit.detail_level), .check = check_detail,
	  .form = "filesystem", .option = "audit-detail",
	  .help = "What is written down beside the sandbox's own life: resource (limits that were "
		  "reached), filesystem (files that were opened, outside the workspace), syscall "
		  "(refused calls), network (names and connections), api_calls (requests of plain "
		  "HTTP), security_events (programs that were executed, and all that was refused). "
		  "Without a list: all but api_calls, and of the files only those opened for "
		  "writing, or refused to it. budget_usage is known and has no effect." },
	{ "audit.on_failure", KEY_ENUM, AT(audit.on_failure), .fallback = "stop",
	  .names = names_on_failure, .option = "audit-on-failure",
	  .help = "When the trail cannot be written. stop: the sandbox ends. warn: it goes on." },
	{ "audit.rotate_bytes", KEY_SIZE, AT(audit.rotate_bytes), .min = 64 * KIB, .max = TIB,
	  .fallback = "64M", .option = "audit-rotate",
	  .help = "A file of the trail that is larger is put aside as FILE.1, FILE.2 and so on. "
		  "Purple removes none." },
	{ "audit.ebpf", KEY_BOOL, AT(audit.ebpf), .fallback = "false", .option = "audit-ebpf",
	  .help = "As root: the kernel itself tells of programs and how they end, of files and, "
		  "where the network is isolated, of connections and how they fare, by eBPF "
		  "(purple-trace)." },

	{ "denials.file", KEY_PATH, AT(denials.file), .option = "denials-file",
	  .form = "/run/purple/denials.jsonl",
	  .help = "A file inside, below /run, which nobody there can change: for each refusal a line "
		  "of JSON, with the line of a policy that would allow it. The sandbox's files and "
		  "calls are observed then." },

	{ "tracing.enabled", KEY_BOOL, AT(tracing.enabled), .fallback = "false", .option = "trace",
	  .help = "Spans of OpenTelemetry: what was set up and run, and for how long. An endpoint "
		  "alone turns them on too. With true, the caller's OTEL_EXPORTER_OTLP_ENDPOINT, "
		  "OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count "
		  "for what no key says. The command gets TRACEPARENT." },
	{ "tracing.endpoint", KEY_TEXT, AT(tracing.endpoint), .form = "http://127.0.0.1:4318",
	  .option = "trace-endpoint",
	  .help = "The collector that spans are sent to, by OTLP/HTTP in JSON, from the host's own "
		  "network. /v1/traces is appended." },
	{ "tracing.wait_seconds", KEY_COUNT, AT(tracing.wait_seconds), .min = 0, .max = 60,
	  .fallback = "0", .option = "trace-wait",
	  .help = "How long the end waits for the spans to be delivered, and then says what was "
		  "lost. With 0 only what was lost by then is told of: the rest is sent behind its back, within "
		  "5 seconds, unless whatever "
		  "Purple runs in (a container, a service) ends with it." },

	{ "ai_policy", KEY_SUBTREE, KEY_NO_EFFECT,
	  .help = "Budgets and rate limits of older policy files." },
	{ "ebpf_monitoring", KEY_SUBTREE, KEY_NO_EFFECT,
	  .help = "Tracing switches of older policy files." },
};
/* clang-format on */

const size_t policy_keys_count = ARRAY_SIZE(policy_keys);

const struct policy_key *policy_key(const char *path)
{
	for (size_t i = 0; i < policy_keys_count; i++) {
		const struct policy_key *k = &policy_keys[i];

		if (streq(k->path, path))
			return k;
		for (size_t j = 0; j < ARRAY_SIZE(k->aliases); j++)
			if (k->aliases[j] && streq(k->aliases[j], path))
				return k;
	}
	return NULL;
}

static bool near(unsigned distance, const char *text)
{
	size_t n = strlen(text);

	return distance <= (n < 6 ? 1 : n / 3) && distance < n;
}

static const char *last_part(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? dot + 1 : path;
}

static size_t section_len(const char *path)
{
	return (size_t)(last_part(path) - path);
}

/* @name is the key's option, but for the dashes: "timeout", "allow_net". */
static bool is_option(const struct policy_key *k, const char *name)
{
	size_t i = 0;

	if (!k->option)
		return false;
	while (name[i] != '\0' && (name[i] == '_' ? '-' : name[i]) == k->option[i])
		i++;
	return name[i] == '\0' && k->option[i] == '\0';
}

const struct policy_key *policy_key_nearest(const char *path)
{
	const struct policy_key *best = NULL;
	const char *name = last_part(path);
	unsigned best_distance = ~0u;
	size_t n = strlen(name);

	for (size_t i = 0; i < policy_keys_count; i++) {
		const struct policy_key *k = &policy_keys[i];
		bool same = section_len(k->path) == section_len(path) &&
			    strncmp(k->path, path, section_len(path)) == 0;
		unsigned d = str_distance(last_part(k->path), name);

		if (is_option(k, name))
			return k;
		for (size_t j = 0; j < ARRAY_SIZE(k->aliases); j++)
			if (k->aliases[j])
				d = MIN(d, str_distance(last_part(k->aliases[j]), name));
		/* "memory_limit" of memory_limit_bytes: as near as one typing error. */
		if (n > 5 && strncmp(last_part(k->path), name, n) == 0 &&
		    last_part(k->path)[n] == '_')
			d = 1;
		/* Another section's key: a little worse than any in this one. */
		d = 2 * d + (same ? 0 : 1);
		if (d < best_distance && near(d / 2, name)) {
			best_distance = d;
			best = k;
		}
	}
	return best;
}

bool policy_section(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < policy_keys_count; i++)
		if (strncmp(policy_keys[i].path, name, n) == 0 && policy_keys[i].path[n] == '.')
			return true;
	return false;
}

const char *policy_section_nearest(const char *name)
{
	static const char *const sections[] = { "filesystem",	"syscalls",  "resources",
						"capabilities", "network",   "environment",
						"devices",	"audit",     "denials",
						"tracing",	"workspace", NULL };
	const char *top[ARRAY_SIZE(policy_keys) + 1] = { 0 };
	const char *s = names_nearest(sections, name);
	size_t n = 0;

	if (s)
		return s;
	for (size_t i = 0; i < policy_keys_count; i++)
		if (!strchr(policy_keys[i].path, '.'))
			top[n++] = policy_keys[i].path;
	s = names_nearest(top, name);
	if (!s) {
		const struct policy_key *k = policy_key_nearest(name);

		s = k ? k->path : NULL;
	}
	return s;
}

const char *names_nearest(const char *const *names, const char *text)
{
	const char *best = NULL;
	unsigned best_distance = ~0u;

	for (; *names; names++) {
		unsigned d = str_distance(*names, text);

		if (d < best_distance && near(d, text)) {
			best_distance = d;
			best = *names;
		}
	}
	return best;
}

int names_index(const char *const *names, const char *text)
{
	for (int i = 0; names[i]; i++)
		if (streq(names[i], text))
			return i;
	return -1;
}

void policy_key_not_yet(const struct policy_key *k, char *buf, size_t size)
{
	const char *what = k->not_yet;
	size_t n = 0;

	buf[0] = '\0';
	if (!what)
		return;
	n = (size_t)snprintf(buf, size, "Not supported yet%s",
			     streq(what, NOT_YET_ANY) ? "" : ": ");
	if (streq(what, NOT_YET_ANY))
		return;
	for (; *what != '\0' && n + 2 < size; what++) {
		if (*what == ' ')
			buf[n++] = ',';
		buf[n++] = *what;
	}
	buf[n] = '\0';
}

const char *policy_key_type_text(const struct policy_key *k)
{
	static const char *const text[KEY_TYPES] = {
		[KEY_TEXT] = "text",
		[KEY_PATH] = "a path",
		[KEY_BOOL] = "true or false",
		[KEY_ENUM] = "one of its names",
		[KEY_COUNT] = "a whole number",
		[KEY_SIZE] = "a size such as 512M or 2G",
		[KEY_RATE] = "a rate such as 50MBps",
		[KEY_CORES] = "a number of cores such as 1.5",
		[KEY_LIST] = "a list",
		[KEY_BINDS] = "a list of paths or of {host_path, sandbox_path, optional}",
		[KEY_OVERLAYS] = "a list of {path, mode}",
		[KEY_SYSRULES] = "a list of rules",
		[KEY_ENVS] = "a map of names and values",
		[KEY_EXTENDS] = "the name of a profile",
		[KEY_SUBTREE] = "anything",
	};

	return text[k->type];
}
