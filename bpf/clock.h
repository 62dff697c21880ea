/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * CLOCK_BOOTTIME decides expiry and the rate limit, since it goes on while the host is suspended; CLOCK_MONOTONIC stamps what
 * users are told. Reading either costs as much as the rest of the filter, the counter of timer ticks next to nothing: so the
 * clocks are read once a tick, where a tick (1 to 10 ms) is exact enough. The helpers are called by number because the older
 * BCC releases do not name them.
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

/* Timer ticks, 100 to 1000 a second; never 0 (INITIAL_JIFFIES). */
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

/* This CPU's clocks, of this tick. NULL never happens, but for the verifier. */
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
