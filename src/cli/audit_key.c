/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"

#define KEY_LINE "key="
#define SIGNATURE_LINE "signature="
enum {
	KEY_AT = TRAIL_HEAD_SIZE + sizeof(KEY_LINE) - 1,
	SIGNATURE_AT = KEY_AT + 2 * AUDIT_KEY + 1 + sizeof(SIGNATURE_LINE) - 1,
	FILE_SIZE = SIGNATURE_AT + 2 * AUDIT_SIGNATURE + 1,
	PEM_MAX = 16 * 1024
};

struct audit_key {
	EVP_PKEY *pkey;
};

static void pkey_free(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

static void bio_free(BIO **b)
{
	BIO_free(*b);
}

static void md_free(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

void audit_key_free(struct audit_key **k)
{
	if (*k)
		EVP_PKEY_free((*k)->pkey);
	free(*k);
	*k = NULL;
}

static int crypto_failed(struct err *e, const char *what)
{
	return err_set(e, EPROTO, "audit", "libcrypto: %s", what);
}

/* A new file with what is in @bio. */
static int write_new(const char *path, BIO *bio, mode_t mode, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	char *data;
	long len = BIO_get_mem_data(bio, &data);
	int r;

	if (fd < 0) {
		r = err_set(e, -errno, "audit", "%s", path);
		if (r == -EEXIST)
			err_remedy(e, "a key is not written over; move both files away first");
		return r;
	}
	r = fchmod(fd, mode) < 0 ? -errno : write_full(fd, data, (size_t)len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		unlink(path);
	return r < 0 ? err_set(e, r, "audit", "write %s", path) : 0;
}

int audit_key_make(const char *private_path, const char *public_path, struct err *e)
{
	_cleanup_(bio_free) BIO *private = BIO_new(BIO_s_mem()), *public = BIO_new(BIO_s_mem());
	_cleanup_(pkey_free) EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	int r;

	if (!private || !public || !pkey ||
	    !PEM_write_bio_PrivateKey(private, pkey, NULL, NULL, 0, NULL, NULL) ||
	    !PEM_write_bio_PUBKEY(public, pkey))
		return crypto_failed(e, "make a key");
	r = write_new(private_path, private, 0600, e);
	if (r < 0)
		return r;
	r = write_new(public_path, public, 0644, e);
	if (r < 0)
		unlink(private_path);
	return r;
}

int audit_key_load(struct audit_key **ret, const char *path, bool private, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_cleanup_buf_ struct buf b = BUF_INIT(PEM_MAX);
	_cleanup_(bio_free) BIO *bio = NULL;
	struct stat st;
	EVP_PKEY *pkey;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, -errno, "audit", "%s", path);
	if (private && (st.st_uid != geteuid() || st.st_mode & 077)) {
		err_set(e, EPERM, "audit", "%s is another user's, or others may read it", path);
		err_remedy(e, "chmod 600 %s; if others may have read it, make another key", path);
		return -EPERM;
	}
	r = read_all(fd, &b);
	if (r < 0)
		return err_set(e, r, "audit", "read %s", path);
	bio = BIO_new_mem_buf(b.data ? b.data : "", (int)b.len);
	if (!bio)
		return crypto_failed(e, "memory");
	pkey = private ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL)
		       : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	if (b.data)
		explicit_bzero(b.data, b.len);
	*ret = calloc(1, sizeof(**ret));
	if (!*ret || !pkey || EVP_PKEY_get_base_id(pkey) != EVP_PKEY_ED25519) {
		EVP_PKEY_free(pkey);
		free(TAKE_PTR(*ret));
		return err_set(e, EPROTO, "audit", "%s is no %s key of Ed25519 in PEM", path,
			       private ? "private" : "public");
	}
	(*ret)->pkey = pkey;
	return 0;
}

void audit_key_public(const struct audit_key *k, uint8_t ret[AUDIT_KEY])
{
	size_t len = AUDIT_KEY;

	if (EVP_PKEY_get_raw_public_key(k->pkey, ret, &len) != 1 || len != AUDIT_KEY)
		memset(ret, 0, AUDIT_KEY);
}

int audit_key_sign(const struct audit_key *k, const struct trail_head *h, struct buf *ret,
		   struct err *e)
{
	_cleanup_(md_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[AUDIT_SIGNATURE], key[AUDIT_KEY];
	char head[TRAIL_HEAD_SIZE + 1], hex[2 * AUDIT_SIGNATURE + 1];
	size_t len = sizeof(signature);

	trail_head_format(h, head);
	if (!ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) != 1 ||
	    EVP_DigestSign(ctx, signature, &len, (const uint8_t *)head, TRAIL_HEAD_SIZE) != 1 ||
	    len != sizeof(signature))
		return crypto_failed(e, "sign");
	audit_key_public(k, key);
	buf_puts(ret, head);
	hex_encode(key, AUDIT_KEY, hex);
	buf_printf(ret, KEY_LINE "%s\n", hex);
	hex_encode(signature, AUDIT_SIGNATURE, hex);
	buf_printf(ret, SIGNATURE_LINE "%s\n", hex);
	return ret->failed ? err_set(e, ENOMEM, "audit", "sign") : 0;
}

int audit_signature_check(const struct audit_key *k, const char *text, size_t len,
			  struct trail_head *ret)
{
	_cleanup_(md_free) EVP_MD_CTX *ctx = NULL;
	uint8_t signature[AUDIT_SIGNATURE], key[AUDIT_KEY], says[AUDIT_KEY];

	if (len != FILE_SIZE || trail_head_parse(text, TRAIL_HEAD_SIZE, ret) < 0 ||
	    memcmp(text + TRAIL_HEAD_SIZE, KEY_LINE, sizeof(KEY_LINE) - 1) != 0 ||
	    text[KEY_AT + 2 * AUDIT_KEY] != '\n' || text[len - 1] != '\n' ||
	    memcmp(text + SIGNATURE_AT - (sizeof(SIGNATURE_LINE) - 1), SIGNATURE_LINE,
		   sizeof(SIGNATURE_LINE) - 1) != 0 ||
	    !hex_decode(text + KEY_AT, AUDIT_KEY, says) ||
	    !hex_decode(text + SIGNATURE_AT, AUDIT_SIGNATURE, signature))
		return -EBADMSG;
	if (!k)
		return 0;
	audit_key_public(k, key);
	if (memcmp(key, says, AUDIT_KEY) != 0)
		return -EKEYREJECTED;
	ctx = EVP_MD_CTX_new();
	if (!ctx || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k->pkey) != 1 ||
	    EVP_DigestVerify(ctx, signature, sizeof(signature), (const uint8_t *)text,
			     TRAIL_HEAD_SIZE) != 1)
		return -EBADE;
	return 0;
}
