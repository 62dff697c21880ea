/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * BCC carries its own copy of the BPF user API.
 */
#include <bcc/bpf.h>
