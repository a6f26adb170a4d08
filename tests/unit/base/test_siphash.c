/* SPDX-License-Identifier: Apache-2.0 */
/* base/siphash.h, by the vectors of its authors (the key and the text are 00 01 02 …). */
#include "base/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_vectors(void **state)
{
	static const struct {
		size_t len;
		uint64_t value;
	} vectors[] = {
		{ 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd },  { 7, 0xab0200f58b01d137 },
		{ 8, 0x93f5f5799a932462 }, { 15, 0xa129ca6149be45e5 },
	};
	uint8_t key[SIPHASH_KEY_SIZE], text[16];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = text[i] = i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++)
		assert_true(siphash(key, text, vectors[i].len) == vectors[i].value);
	key[0] ^= 1;
	assert_true(siphash(key, text, 15) != 0xa129ca6149be45e5);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
