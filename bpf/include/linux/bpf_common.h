/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * BCC's prologue includes this header. Nothing in it is needed here.
 */
