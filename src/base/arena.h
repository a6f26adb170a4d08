/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bump allocator: everything that belongs to one policy or one plan under
 * construction lives in one arena and is freed with it. There is no freeing
 * of single objects, so parsed trees need no destructors.
 *
 * Limits: `max` bounds the sum of all allocations, so hostile input (YAML
 * bombs) ends in NULL and not in swap. Memory is zeroed and aligned for any
 * type.
 */
#ifndef PURPLE_BASE_ARENA_H
#define PURPLE_BASE_ARENA_H

#include <stddef.h>

#include "base/macros.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *head;
	size_t used; /* bytes handed out */
	size_t max;  /* limit for used */
};

#define ARENA_INIT(limit) ((struct arena){ .max = (limit) })

/* NULL when the limit is reached or memory is out. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) _printf_(2, 3);

/*
 * Grow an array that lives in the arena: returns @items or a larger copy with
 * room for @count + 1 items of @size bytes; NULL as above. Room doubles, so
 * appending n items costs O(n).
 */
void *arena_grow(struct arena *a, void *items, size_t count, size_t size);

void arena_free(struct arena *a);
#define _cleanup_arena_ _cleanup_(arena_free)

#endif
