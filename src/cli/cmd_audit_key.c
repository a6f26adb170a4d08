/* SPDX-License-Identifier: Apache-2.0 */
/* `purple audit init` and `sign`. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sha256.h"
#include "cli/audit_key.h"
#include "cli/audit_paths.h"
#include "cli/cmd_audit.h"
#include "cli/sandboxes.h"
#include "event/trail_read.h"

static const char *const init_help[] = {
	"Makes a key pair (Ed25519). From then on a trail is signed whenever a sandbox ends,",
	"and at once if there is one. The private key never leaves this machine; keep a copy of",
	"the public one where nobody who might change a trail can change it too.",
	"",
	"  -h, --help    this text",
	NULL,
};

static const char *const sign_help[] = {
	"Signs a trail as it is now: who has the public key can tell later that no line before",
	"was changed. Without a name: the caller's own trail.",
	"",
	"  -k, --key FILE   the private key, PEM",
	"      --file TRAIL  the trail, as an argument names it",
	"  -h, --help       this text",
	NULL,
};

/* Is there a signature of this very head, by this key? */
static bool is_signed(int dir, const char *name, const struct audit_key *k,
		      const struct trail_head *h)
{
	_cleanup_buf_ struct buf b = BUF_INIT(4096);
	struct trail_head of;

	return read_file_at(dir, name, &b) == 0 && b.len > 0 &&
	       audit_signature_check(k, b.data, b.len, &of) == 0 && of.seq == h->seq &&
	       of.size == h->size && memcmp(of.hash, h->hash, SHA256_SIZE) == 0;
}

static int sign_trail(const char *path, const struct audit_key *k, struct err *e)
{
	_cleanup_trail_snapshot_ struct trail_snapshot s = TRAIL_SNAPSHOT_INIT;
	int r = trail_snapshot(&s, path, e);

	for (size_t i = 0; r == 0 && i < s.count; i++) {
		struct trail_part *p = &s.parts[i];
		_cleanup_buf_ struct buf b = BUF_INIT(4096);
		char name[sizeof(p->name) + 8];

		snprintf(name, sizeof(name), "%s.sig", p->name);
		if (p->head_error < 0) { /* moved away by others; the next head vouches for it */
			if (i + 1 == s.count)
				r = err_set(e, p->head_error, "audit", "read the head of %s", path);
			continue;
		}
		if (is_signed(s.dir, name, k, &p->head))
			continue;
		r = audit_key_sign(k, &p->head, &b, e);
		if (r == 0)
			r = write_file_atomic(s.dir, name, b.data, b.len, 0600);
		if (r < 0)
			err_set(e, r, "audit", "write %s", name);
	}
	return r;
}

/* The directory of the key; root's is for all to read. */
static int make_directory(const char *key, struct err *e)
{
	char dir[PATH_MAX], *end = dir;

	snprintf(dir, sizeof(dir), "%s", key);
	*strrchr(dir, '/') = '\0';
	do {
		end = strchr(end + 1, '/');
		if (end)
			*end = '\0';
		if (mkdir(dir, geteuid() == 0 ? 0755 : 0700) < 0 && errno != EEXIST &&
		    access(dir, F_OK) < 0)
			return err_set(e, -errno, "audit", "make %s", dir);
		if (end)
			*end = '/';
	} while (end);
	return 0;
}

static int init(struct err *e)
{
	_cleanup_audit_key_ struct audit_key *k = NULL;
	char hex[2 * AUDIT_KEY + 1];
	struct audit_paths paths;
	uint8_t public[AUDIT_KEY];
	int r = audit_paths(&paths, NULL, e);

	if (r < 0)
		return r;
	if (!paths.key[0]) {
		err_set(e, EPROTO, "audit", "there is no home, and so no place for a key");
		err_remedy(e, "set HOME");
		return -EPROTO;
	}
	r = make_directory(paths.key, e);
	if (r == 0)
		r = audit_key_make(paths.key, paths.pub, e);
	if (r == 0)
		r = audit_key_load(&k, paths.key, true, e);
	if (r < 0)
		return r;
	audit_key_public(k, public);
	hex_encode(public, AUDIT_KEY, hex);
	printf("private key: %s\npublic key:  %s\n             %s\n", paths.key, paths.pub, hex);
	if (access(paths.trail, F_OK) < 0)
		return 0;
	r = sign_trail(paths.trail, k, e);
	if (r == 0)
		printf("signed:      %s\n", paths.trail);
	return r;
}

int cmd_audit_init(int argc, char **argv)
{
	const struct command_line line = { init_help, "purple audit init", NULL, 0, 0, 0 };
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r > 0)
		return 0;
	if (r == 0)
		r = init(&e);
	if (r < 0)
		return command_failed(&e);
	return fflush(stdout) == 0 ? 0 : EXIT_PURPLE;
}

int cmd_audit_sign(int argc, char **argv)
{
	const char *key = NULL, *file = NULL;
	const struct option_word options[] = { { 'k', "key", &key, NULL },
					       { 0, "file", &file, NULL } };
	const struct command_line line = { sign_help, "purple audit sign [-k FILE] [TRAIL]",
					   options,   ARRAY_SIZE(options),
					   0,	      1 };
	_cleanup_audit_key_ struct audit_key *k = NULL;
	struct audit_paths paths;
	struct err e = { 0 };
	int names, r = command_line(&line, argc, argv, &names, &e);

	if (r > 0)
		return 0;
	if (r == 0)
		r = audit_paths(&paths, names > 0 ? argv[0] : file, &e);
	if (r == 0 && !key && !paths.key[0])
		r = err_set(&e, EPROTO, "audit", "there is no home, and so no key");
	if (r == 0)
		r = audit_key_load(&k, key ? key : paths.key, true, &e);
	if (r == -ENOENT)
		err_remedy(&e, "there is no key yet; `purple audit init` makes one");
	if (r == 0)
		r = sign_trail(paths.trail, k, &e);
	return r < 0 ? command_failed(&e) : 0;
}
