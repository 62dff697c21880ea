/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Measures how long the filter takes, for one frame in TIMING_SAMPLE. The two clock reads cost more than what they
 * measure, and the cost of one of them is part of every figure.
 */
#ifndef PINGKILLER_TIMING_H
#define PINGKILLER_TIMING_H

#if TIMING_SAMPLE

BPF_TABLE_PINNED("percpu_array", u32, struct timing, timing, 1, FILTER_PINS "/timing");

/* Returns the time when the frame arrived, or 0 if the frame is not in the sample. */
static __always_inline u64 timing_start(void)
{
	struct timing *mine;
	u32 zero = 0;

	mine = timing.lookup(&zero);
	if (!mine || ++mine->unsampled < TIMING_SAMPLE)
		return 0;
	mine->unsampled = 0;
	return monotonic_clock();
}

static __always_inline u32 logarithm(u32 number)
{
	u32 result = 0, bits;

#pragma unroll
	for (bits = 16; bits; bits >>= 1) {
		if (number >> bits) {
			number >>= bits;
			result += bits;
		}
	}
	return result;
}

/* Records and returns the time since `start` in ns. Returns 0 if the frame is not in the sample. */
static __always_inline u32 timing_stop(u64 start, bool dropped)
{
	struct verdict_timing *row;
	struct timing *mine;
	u64 elapsed;
	u32 zero = 0;

	if (!start)
		return 0;
	mine = timing.lookup(&zero);
	if (!mine)
		return 0;
	elapsed = monotonic_clock() - start;
	if (elapsed > ~0U)
		elapsed = ~0U;
	row = dropped ? &mine->dropped : &mine->passed;
	row->count++;
	row->sum += elapsed;
	row->bucket[logarithm(elapsed) % TIMING_BUCKETS]++;
	return elapsed;
}

#else

static __always_inline u64 timing_start(void)
{
	return 0;
}

static __always_inline u32 timing_stop(u64 start, bool dropped)
{
	return 0;
}

#endif
#endif
