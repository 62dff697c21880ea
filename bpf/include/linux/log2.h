/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Named by BCC's prologue; nothing in it is needed here.
 */
