/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PURPLE_EVENT_TRAIL_JSON_H
#define PURPLE_EVENT_TRAIL_JSON_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Is it one JSON object and nothing else (RFC 8259), as event_encode() writes them:
 * without blanks; values are strings, numbers and arrays of strings? Text is UTF-8
 * without control characters. Fast: `purple audit verify` asks it of every line.
 */
bool trail_json_ok(const char *line, size_t len);

#endif
