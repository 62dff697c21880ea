/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two clocks. CLOCK_BOOTTIME decides expiry, since it goes on while the host is suspended. CLOCK_MONOTONIC stamps "last
 * seen", from the coarse clock (the last timer tick, a few milliseconds old) where the kernel has it: it costs a tenth.
 * The helpers are called by number because the older BCC releases do not name them.
 */
#ifndef PINGKILLER_CLOCK_H
#define PINGKILLER_CLOCK_H

#define HELPER_KTIME_GET_NS 5
#define HELPER_KTIME_GET_BOOT_NS 125
#define HELPER_KTIME_GET_COARSE_NS 160

static __always_inline u64 boot_clock(void)
{
	u64 (*ktime_get_boot_ns)(void) = (void *)HELPER_KTIME_GET_BOOT_NS;

	return ktime_get_boot_ns();
}

static __always_inline u64 tick_clock(void)
{
	u64 (*ktime_get)(void) = (void *)(COARSE_CLOCK ? HELPER_KTIME_GET_COARSE_NS : HELPER_KTIME_GET_NS);

	return ktime_get();
}

#endif
