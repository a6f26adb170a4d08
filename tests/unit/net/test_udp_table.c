/* SPDX-License-Identifier: Apache-2.0 */
/* Entries are found by every part of their key, and leave in the order of their silence. */
#include "net_test.h"

#include "net/udp_table.h"

enum { MANY = 2000, FEW = 16 };

static struct udp_key key(unsigned n)
{
	struct udp_key k = { .peer = { 10, 0, (uint8_t)(n >> 8), (uint8_t)n },
			     .local = { 192, 0, 2, 1 },
			     .peer_port = 1,
			     .local_port = 53 };

	return k;
}

/* More than it was made for, so that buckets are shared; half of them go again. */
static void test_find(void **state)
{
	struct udp_entry *e = calloc(MANY, sizeof(*e));
	struct udp_table t;

	assert_non_null(e);
	assert_int_equal(udp_table_init(&t, FEW), 0);
	for (unsigned i = 0; i < MANY; i++) {
		e[i].key = key(i);
		assert_null(udp_table_find(&t, &e[i].key));
		udp_table_add(&t, &e[i], i);
	}
	assert_int_equal(t.count, MANY);
	for (unsigned i = 0; i < MANY; i += 2)
		udp_table_remove(&t, &e[i]);
	assert_int_equal(t.count, MANY / 2);
	for (unsigned i = 0; i < MANY; i++) {
		struct udp_key k = key(i);

		assert_ptr_equal(udp_table_find(&t, &k), i % 2 ? &e[i] : NULL);
	}
	udp_table_free(&t);
	free(e);
}

/* Another byte anywhere in the key is another flow. */
static void test_whole_key(void **state)
{
	struct udp_entry e = { .key = key(7) };
	struct udp_table t;

	assert_int_equal(udp_table_init(&t, FEW), 0);
	udp_table_add(&t, &e, 0);
	for (size_t i = 0; i < sizeof(struct udp_key); i++) {
		struct udp_key other = key(7);

		((uint8_t *)&other)[i] ^= 1;
		assert_null(udp_table_find(&t, &other));
	}
	assert_ptr_equal(udp_table_find(&t, &(struct udp_key[]){ key(7) }[0]), &e);
	udp_table_free(&t);
}

static void test_silence(void **state)
{
	struct udp_entry e[4];
	struct udp_table t;

	assert_int_equal(udp_table_init(&t, FEW), 0);
	assert_null(udp_table_oldest(&t));
	for (unsigned i = 0; i < ARRAY_SIZE(e); i++) {
		e[i].key = key(i);
		udp_table_add(&t, &e[i], 10 * i);
	}
	udp_table_touch(&t, &e[0], 100);
	udp_table_touch(&t, &e[2], 101);
	udp_table_touch(&t, &e[2], 102);
	assert_ptr_equal(udp_table_oldest(&t), &e[1]);
	assert_int_equal(e[1].last, 10);
	udp_table_remove(&t, &e[3]); /* from the middle */
	udp_table_remove(&t, &e[1]);
	assert_ptr_equal(udp_table_oldest(&t), &e[0]);
	udp_table_remove(&t, &e[0]);
	assert_ptr_equal(udp_table_oldest(&t), &e[2]);
	assert_int_equal(e[2].last, 102);
	udp_table_remove(&t, &e[2]);
	assert_null(udp_table_oldest(&t));
	assert_int_equal(t.count, 0);
	udp_table_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_whole_key),
		cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
