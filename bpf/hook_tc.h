/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * The filter as a classifier of a clsact queueing discipline. It sees frames that arrive (after XDP) or that leave.
 */
#ifndef PINGKILLER_HOOK_TC_H
#define PINGKILLER_HOOK_TC_H

#define TC_ACT_UNSPEC (-1) /* continue with the next classifier: passing here overrules no other classifier */
#define TC_ACT_SHOT 2

/* Parses the linear part of the buffer. Returns whether this part ended before the headers did. */
static __always_inline bool parse_linear(struct __sk_buff *skb, struct packet *packet, struct endpoint *endpoint)
{
	struct cursor cursor = {.position = (void *)(long)skb->data, .end = (void *)(long)skb->data_end};

	begin(packet, endpoint, skb->len);
	/* The kernel or the network card keeps the outer VLAN tag outside of the frame. */
	packet->bytes += skb->vlan_present * sizeof(struct vlan_tag);
	packet->vlan = (skb->vlan_tci & VLAN_ID) | (u16)(skb->vlan_present - 1);
	if (!FORWARDED)
		packet->came_in_by = skb->ingress_ifindex;
	packet->content = parse_frame(&cursor, packet);
	return cursor.exhausted;
}

/* While the mode of a filter changes: whether its XDP program has already passed this packet. See hook_xdp.h. */
static __always_inline bool is_marked(struct __sk_buff *skb)
{
	u32 *metadata = (void *)(long)skb->data_meta;

	return (void *)(metadata + 1) <= (void *)(long)skb->data && *metadata == MARK_SEEN;
}

int pingkiller(struct __sk_buff *skb)
{
	u64 start = timing_start();
	struct endpoint endpoint[SIDES];
	struct packet packet;

	if (SWITCHING && is_marked(skb))
		return TC_ACT_UNSPEC;

	/* Headers are in the linear part, except in a buffer that was built in an unusual way. */
	if (parse_linear(skb, &packet, endpoint) && skb->data_end - skb->data < skb->len &&
	    !bpf_skb_pull_data(skb, skb->len))
		parse_linear(skb, &packet, endpoint);
	return settle(&packet, start, skb->ifindex) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

#endif
