/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * BCC's prologue includes this header first. The filter needs no kernel configuration.
 */
#define CONFIG_BPF_SYSCALL 1
