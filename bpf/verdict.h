/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The decision table, one row after the other. The options are compile-time constants, so a row that an option turns off
 * leaves no instruction.
 */
#ifndef PINGKILLER_VERDICT_H
#define PINGKILLER_VERDICT_H

/* What path-MTU discovery, neighbour discovery and multicast need: without it the host loses more than ping. */
static __always_inline bool is_protected(const struct packet *packet)
{
	if (packet->family == IPV4)
		return packet->type == ICMP4_UNREACHABLE && packet->code == ICMP4_FRAGMENTATION_NEEDED;
	switch (packet->type) {
	case ICMP6_PACKET_TOO_BIG:
	case ICMP6_MLD_QUERY:
	case ICMP6_MLD_REPORT:
	case ICMP6_MLD_DONE:
	case ICMP6_ROUTER_SOLICITATION:
	case ICMP6_ROUTER_ADVERTISEMENT:
	case ICMP6_NEIGHBOUR_SOLICITATION:
	case ICMP6_NEIGHBOUR_ADVERTISEMENT:
	case ICMP6_REDIRECT:
	case ICMP6_MLD2_REPORT:
		return true;
	}
	return false;
}

static __always_inline bool is_filtered_type(const struct packet *packet)
{
	return packet->family == IPV4 ? FILTERS_ICMP4(packet->type, packet->code)
				      : FILTERS_ICMP6(packet->type, packet->code);
}

static __always_inline enum reason decide(enum content content, struct packet *packet)
{
	bool has_type = content == CONTENT_ICMP;
	struct listing listing[SIDES];
	struct control *state;
	u32 zero = 0;

	if (content == CONTENT_OTHER)
		return NOT_ICMP;
	if (content == CONTENT_UNREADABLE)
		return MALFORMED;
	if (PROTECT && has_type && is_protected(packet))
		return PROTECTED;
	state = control.lookup(&zero);
	if (state) {
		find_listing(state, SOURCE, packet, &listing[SOURCE]);
		find_listing(state, DESTINATION, packet, &listing[DESTINATION]);
		if (on_list(LIST_ALLOW, packet, listing))
			return ALLOWLIST;
		if (on_list(LIST_BLOCK, packet, listing))
			return BLOCKLIST;
	}
	if (has_type && !is_filtered_type(packet))
		return TYPE;
	if (!FORWARDED && (packet->forwarded || !has_type))
		return TYPE;
	if (has_type && over_limit(packet))
		return RATELIMIT;
	return POLICY;
}

#endif
