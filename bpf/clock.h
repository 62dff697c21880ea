/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Expiry and the rate limit use CLOCK_BOOTTIME, because it keeps running while the host is suspended. Timestamps for
 * users come from CLOCK_MONOTONIC. Reading either clock costs as much as the rest of the filter. Reading the counter of
 * timer ticks costs next to nothing. So where a tick (1 to 10 ms) is exact enough, each CPU reads the clocks only once
 * per tick. The helpers are called by number because older BCC releases do not name them.
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

/* Returns the number of timer ticks, 100 to 1000 per second. It is never 0 (INITIAL_JIFFIES). */
static __always_inline u64 ticks(void)
{
	u64 (*jiffies64)(void) = (void *)HELPER_JIFFIES64;

	return jiffies64();
}

struct coarse_clocks {
	u64 ticks; /* when the clocks were read */
	u64 monotonic;
	u64 boot;
};

BPF_PERCPU_ARRAY(coarse_clocks, struct coarse_clocks, 1);

/* Returns this CPU's clocks as of this tick. It never returns NULL, but the verifier does not know that. */
static __always_inline const struct coarse_clocks *coarse(void)
{
	struct coarse_clocks *clocks;
	u64 now = ticks();
	u32 zero = 0;

	clocks = coarse_clocks.lookup(&zero);
	if (clocks && clocks->ticks != now) {
		clocks->monotonic = monotonic_clock();
		clocks->boot = boot_clock();
		clocks->ticks = now;
	}
	return clocks;
}

#endif
