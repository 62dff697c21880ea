/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Run by user space through BPF_PROG_TEST_RUN, on no packet: adds the counts of an entry in the lists that were replaced to
 * the same entry in the lists that are in use, while other CPUs count on it.
 */
#ifndef PINGKILLER_CARRY_H
#define PINGKILLER_CARRY_H

struct carried {
	u32 list;
	u32 slot;
	u64 packets;
	u64 bytes;
	u64 last_seen;
};

int carry(struct xdp_md *ctx)
{
	struct carried *carried = (void *)(long)ctx->data;
	struct record *record;
	u32 slot;

	if ((void *)(carried + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	slot = carried->slot;
	record = carried->list == LIST_BLOCK ? lookup_record(LIST_BLOCK, &slot) : lookup_record(LIST_ALLOW, &slot);
	if (!record)
		return XDP_ABORTED;
	__sync_fetch_and_add(&record->packets, carried->packets);
	__sync_fetch_and_add(&record->bytes, carried->bytes);
	if (record->last_seen < carried->last_seen)
		record->last_seen = carried->last_seen;
	return XDP_PASS;
}

#endif
