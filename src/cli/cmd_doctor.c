/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd_doctor.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/macros.h"
#include "base/str.h"
#include "cli/dirs.h"
#include "cli/ebpf.h"
#include "plan/build.h"

static const char usage[] =
	"usage: purple doctor [--json]\n"
	"\n"
	"Say what this kernel and host offer, layer by layer, what is missing, why, and\n"
	"what to do about it.\n"
	"\n"
	"  --json   print a JSON array: {id, layer, required, state, why, remedy}\n"
	"\n"
	"state: ok, degraded (works, with less than it could), missing, note (to know).\n"
	"Exit status: 0 if `purple run -p default` can enforce everything here, 1 if not.\n";

static const char *const state_names[] = {
	[DOC_OK] = "ok",
	[DOC_DEGRADED] = "degraded",
	[DOC_MISSING] = "missing",
	[DOC_NOTE] = "note",
};
_Static_assert(ARRAY_SIZE(state_names) == DOC_STATES, "a name for each state");

/* ---- gathering ---- */

/* What `purple run -p default` needs below the prefix. */
static const char *const installed[] = {
	"bin/purple",
	"libexec/purple/purple-compile",
	"libexec/purple/purple-init",
	"share/purple/profiles/default.yaml",
};

/* Does the ELF file @path name an interpreter, that is, a dynamic loader? elf(5) */
static bool elf_dynamic(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr head;
	Elf64_Phdr ph;

	if (fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_phentsize != sizeof(ph))
		return false;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		off_t at = (off_t)(head.e_phoff + i * sizeof(ph));

		if (pread(fd, &ph, sizeof(ph), at) != sizeof(ph))
			return false;
		if (ph.p_type == PT_INTERP)
			return true;
	}
	return false;
}

static void gather_install(struct doctor_install *in)
{
	char path[512];
	struct dirs d;

	if (dirs_init(&d) == 0)
		str_copy(in->prefix, sizeof(in->prefix), d.prefix);
	for (size_t i = 0; i < ARRAY_SIZE(installed); i++) {
		size_t used = strlen(in->absent);

		snprintf(path, sizeof(path), "%s/%s", in->prefix, installed[i]);
		if (access(path, R_OK) != 0)
			snprintf(in->absent + used, sizeof(in->absent) - used, "%s%s",
				 used ? " " : "", installed[i]);
	}
	snprintf(path, sizeof(path), "%s/bin/purple", in->prefix);
	in->launcher_dynamic = elf_dynamic(path);
}

/*
 * Could caller_reserve_ids() open or make its file? Makes nothing: access(2)
 * says of a file system that is mounted read-only that it cannot be written.
 */
static int try_id_lock(void)
{
	static const struct {
		const char *path;
		int mode;
	} places[] = {
		{ "/run/purple/ids", R_OK | W_OK },
		{ "/run/purple", W_OK | X_OK },
		{ "/run", W_OK | X_OK },
	};
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (lstat(places[i].path, &st) == 0) {
			if (i > 0 && stat(places[i].path, &st) == 0 && !S_ISDIR(st.st_mode))
				return ENOTDIR;
			return access(places[i].path, places[i].mode) == 0 ? 0 : errno;
		}
		if (errno != ENOENT)
			return errno;
	}
	return ENOENT;
}

/* ---- printing ---- */

/* Each line of @text after @indent blanks, the first one after @lead. */
static void add_lines(struct buf *out, int indent, const char *lead, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		buf_printf(out, "%*s%s%.*s\n", indent, "", lead, (int)n, text);
		text += n;
		if (*text == '\n')
			text++;
		lead = "  ";
	}
}

static void add_summary(const struct doctor_verdict *v, size_t n, struct buf *out)
{
	const char *comma = " ";

	if (doctor_ready(v, n)) {
		buf_puts(out, "\nReady: `purple run -p default` can enforce every layer here.\n");
		return;
	}
	buf_puts(out, "\nNot ready: `purple run -p default` lacks");
	for (size_t i = 0; i < n; i++)
		if (!doctor_ready(&v[i], 1)) {
			buf_printf(out, "%s%s", comma, v[i].id);
			comma = ", ";
		}
	buf_puts(out, ".\n");
}

void doctor_text(const struct doctor_facts *f, const struct doctor_verdict *v, size_t n,
		 struct buf *out)
{
	buf_printf(out, "Linux %s, %s, as %s\n\n", f->probe.quick.release, f->probe.quick.machine,
		   f->probe.root       ? "root"
		   : f->probe.uid == 0 ? "root of a user namespace, or root without CAP_SYS_ADMIN"
				       : "an ordinary user");
	for (size_t i = 0; i < n; i++) {
		/* The twelve layers first; a gap; what they stand on. */
		if (i > 0 && !streq(v[i].id, v[i].layer) && streq(v[i - 1].id, "seccomp"))
			buf_puts(out, "\n");
		buf_printf(out, "%-16s  %s%s%s\n", v[i].id, state_names[v[i].state],
			   v[i].why[0] ? ": " : "", v[i].why);
		add_lines(out, 18, "> ", v[i].remedy);
	}
	add_summary(v, n, out);
}

void doctor_json(const struct doctor_verdict *v, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct {
			const char *name, *value;
		} fields[] = {
			{ "id", v[i].id },
			{ "layer", v[i].layer },
			{ "state", state_names[v[i].state] },
			{ "why", v[i].why },
			{ "remedy", v[i].remedy },
		};

		buf_puts(out, i == 0 ? "[\n  {" : ",\n  {");
		for (size_t k = 0; k < ARRAY_SIZE(fields); k++) {
			buf_printf(out, "\"%s\": ", fields[k].name);
			buf_json_string(out, fields[k].value);
			buf_puts(out, ", ");
		}
		buf_printf(out, "\"required\": %s}", v[i].required ? "true" : "false");
	}
	buf_puts(out, n ? "\n]\n" : "[]\n");
}

/* ---- the command ---- */

/* With the very rules that a plan would have. */
static int try_network(void)
{
	_cleanup_buf_ struct buf batch = BUF_INIT(16 * 1024);
	bool v6;

	return build_nft(&batch) < 0 ? ENOMEM : probe_network(batch.data, batch.len, &v6);
}

int cmd_doctor(int argc, char **argv)
{
	_cleanup_buf_ struct buf out = BUF_INIT(256 * 1024);
	struct doctor_verdict verdicts[DOCTOR_CHECKS_MAX];
	struct doctor_facts facts = { 0 };
	struct dirs dirs;
	struct err e = { 0 };
	bool json = false;
	size_t n;
	int r;

	for (int i = 1; i < argc; i++) {
		if (streq(argv[i], "--json")) {
			json = true;
		} else if (streq(argv[i], "--help") || streq(argv[i], "-h")) {
			buf_puts(&out, usage);
			return write_full(STDOUT_FILENO, out.data, out.len) < 0 ? EXIT_PURPLE : 0;
		} else {
			err_set(&e, EPROTO, "usage", "%s %s",
				argv[i][0] == '-' ? "there is no option" : "unexpected word",
				argv[i]);
			err_remedy(&e, "purple doctor --help");
			err_print(&e);
			return EXIT_PURPLE;
		}
	}
	r = probe_full(&facts.probe);
	if (r < 0) {
		err_set(&e, r, "doctor", "probe the kernel");
		err_print(&e);
		return EXIT_PURPLE;
	}
	gather_install(&facts.install);
	facts.probe.network = try_network();
	facts.ebpf = dirs_init(&dirs) == 0 ? ebpf_try(&dirs) : ENOENT;
	cg_find(&facts.cgroups);
	if (facts.probe.root)
		facts.id_lock = try_id_lock();
	n = doctor_judge(&facts, verdicts);
	if (json)
		doctor_json(verdicts, n, &out);
	else
		doctor_text(&facts, verdicts, n, &out);
	r = out.failed ? -ENOMEM : write_full(STDOUT_FILENO, out.data, out.len);
	if (r < 0) {
		err_set(&e, r, "doctor", "write the report");
		err_print(&e);
		return EXIT_PURPLE;
	}
	return doctor_ready(verdicts, n) ? 0 : 1;
}
