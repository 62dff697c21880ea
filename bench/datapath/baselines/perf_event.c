/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Drops all ICMP, and reports every packet to user space in a perf event: arrival time, processing time and verdict.
 */
#include <uapi/linux/bpf.h>
#include "frame.h"

struct note {
	u64 time;
	u64 took;
	u32 verdict;
};

BPF_PERF_OUTPUT(notes);

int baseline(struct xdp_md *ctx)
{
	struct note note = {.time = bpf_ktime_get_ns(), .verdict = XDP_PASS};
	struct ipv4_frame *frame = ipv4_frame(ctx);

	if (frame && frame->protocol == 1)
		note.verdict = XDP_DROP;
	note.took = bpf_ktime_get_ns() - note.time;
	notes.perf_submit(ctx, &note, sizeof(note));
	return note.verdict;
}
