/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures in Prometheus's text format, version 0.0.4:
 * prometheus.io/docs/instrumenting/exposition_formats. Names and units follow
 * prometheus.io/docs/practices/naming; `promtool check metrics` has no complaint.
 *
 * Labels are bounded: a sandbox's name and id, of which both are gone with it, its
 * profile (of purple_sandbox_info alone), and words of tables of ours. Never a path, a
 * host, or anything else from inside.
 *
 * What begins with purple_sandbox_ and has the label "sandbox" is of one live sandbox
 * and disappears with it. What has none is of all of this user's, ended ones too, and
 * does not go down: supervisor/totals.h.
 */
#ifndef PURPLE_SERVE_EXPOSITION_H
#define PURPLE_SERVE_EXPOSITION_H

#include "base/buf.h"
#include "serve/gather.h"
#include "supervisor/totals.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"
enum { EXPOSITION_MAX = 256 << 20 }; /* bytes: the maximum of a buffer for it */

/* @t: read after @g was gathered; NULL: there are none. */
void exposition(struct buf *b, const struct gathered *g, const struct totals *t);

#endif
