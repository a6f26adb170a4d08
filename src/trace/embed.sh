#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# embed.sh FILE OUT: the bytes of FILE as an initializer of C.
set -eu
od -An -v -tx1 "$1" | sed 's/ \(..\)/0x\1,/g' >"$2"
