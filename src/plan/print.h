/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan for people and for programs. Nothing is done that is not printed: by
 * both, but for the filter's instructions, which only the JSON lists. The text
 * names the calls that they answer "by argument". A key of zeros, which is no
 * key, is not in the text.
 *
 * The plan must come from plan_open(). Only memory can fail: @b->failed.
 *
 * JSON: one object, "schema" PLAN_JSON_SCHEMA. Keys come in a fixed order and
 * one value a line, so that two plans can be compared with diff. A new key
 * keeps the number; a key that goes or changes its meaning raises it. Numbers
 * above 2^53 are strings in hexadecimal. Text that is no UTF-8 is escaped as
 * in buf_json_string().
 *
 *   schema, version, profile, enforcement, key
 *   layers[]       {layer, state, why}
 *   downgrades[]   {what, why}
 *   identity       {idmap, hostname, working_dir, umask}
 *   namespaces[]   names; steps[] names
 *   root           {size, inodes}
 *   mounts[]       {kind, source, target, data, flags[], mode, device, landlock[]}
 *   hide[]         patterns
 *   rlimits[]      {resource, soft, hard}; null: unlimited
 *   capabilities   {bounding[], permitted[], effective[], inheritable[], ambient[]}
 *   securebits[]
 *   landlock       {abi, fs[], root[], net[], scoped[]}
 *   environment    {set[], pass[]}
 *   seccomp        {instructions, actions{ACTION: [names]}, arguments[], listing[]}
 *   sources[]      {path, sha256}
 *   facts[]        {kind, path, value}; value of an mtime: nanoseconds, as a string
 * "arguments" are the calls whose answer depends on an argument. What is not
 * set is null, never left out.
 */
#ifndef PURPLE_PLAN_PRINT_H
#define PURPLE_PLAN_PRINT_H

#include <stdbool.h>

#include "base/buf.h"
#include "plan/plan.h"

#define PLAN_JSON_SCHEMA 1

/* @calls: name every system call; else only say how many get which answer. */
void plan_print_text(const struct plan *p, bool calls, struct buf *b);
void plan_print_json(const struct plan *p, struct buf *b);

#endif
