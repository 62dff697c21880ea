/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * CLOCK_BOOTTIME decides expiry, since it goes on while the host is suspended; CLOCK_MONOTONIC stamps "last seen". Reading
 * either costs as much as the rest of the filter, the tick counter next to nothing. The helpers are called by number because
 * the older BCC releases do not name them.
 */
#ifndef PINGKILLER_CLOCK_H
#define PINGKILLER_CLOCK_H

#define HELPER_KTIME_GET_NS 5
#define HELPER_JIFFIES64 118
#define HELPER_KTIME_GET_BOOT_NS 125

static __always_inline u64 monotonic_clock(void)
{
	u64 (*ktime_get_ns)(void) = (void *)HELPER_KTIME_GET_NS;

	return ktime_get_ns();
}

static __always_inline u64 boot_clock(void)
{
	u64 (*ktime_get_boot_ns)(void) = (void *)HELPER_KTIME_GET_BOOT_NS;

	return ktime_get_boot_ns();
}

/* Timer ticks, 100 to 1000 a second. */
static __always_inline u32 tick(void)
{
	u64 (*jiffies64)(void) = (void *)HELPER_JIFFIES64;

	return jiffies64();
}

#endif
