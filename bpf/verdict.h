/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * The decision table, row by row. The options are compile-time constants, so a row that an option turns off leaves no
 * instruction.
 */
#ifndef PINGKILLER_VERDICT_H
#define PINGKILLER_VERDICT_H

/* A packet that arrives with a hop limit of 255 comes from a neighbour: no router passes it on (RFC 4861, 6.1, 7.1,
 * 8.1).
 */
static __always_inline bool is_neighbour_discovery(const struct packet *packet)
{
	return packet->hop_limit == 255 && packet->code == 0;
}

/* RFC 3810, 5.1.14 and 5.2.13. A host that has no address yet sends its report from ::. */
static __always_inline bool is_multicast_listener_discovery(const struct packet *packet)
{
	const u32 *source = packet->endpoint[SIDE_SOURCE].address.word;

	return packet->hop_limit == 1 && ((source[0] & NET32(0xffc00000)) == NET32(0xfe800000) ||
					  !(source[0] | source[1] | source[2] | source[3]));
}

/* The packets that path-MTU discovery, neighbour discovery and multicast need. Without them a host loses more than
 * ping.
 */
static __always_inline bool is_protected(const struct packet *packet)
{
	if (packet->family == FAMILY_IPV4)
		return packet->type == ICMP4_UNREACHABLE && packet->code == ICMP4_FRAGMENTATION_NEEDED;
	switch (packet->type) {
	case ICMP6_PACKET_TOO_BIG:
		return true;
	case ICMP6_REDIRECT:
		return PROTECT_REDIRECTS && is_neighbour_discovery(packet);
	case ICMP6_ROUTER_SOLICITATION:
	case ICMP6_ROUTER_ADVERTISEMENT:
	case ICMP6_NEIGHBOUR_SOLICITATION:
	case ICMP6_NEIGHBOUR_ADVERTISEMENT:
		return is_neighbour_discovery(packet);
	case ICMP6_MLD_QUERY:
	case ICMP6_MLD_REPORT:
	case ICMP6_MLD_DONE:
	case ICMP6_MLD2_REPORT:
		return is_multicast_listener_discovery(packet);
	}
	return false;
}

/* Whether policy and rate limit apply to this packet. */
static __always_inline bool is_filtered(const struct packet *packet)
{
	if (!FORWARDED && packet->came_in_by)
		return false;
	switch (packet->content) {
	case CONTENT_ICMP:
		return packet->family == FAMILY_IPV4 ? FILTERS_ICMP4(packet->type, packet->code)
						     : FILTERS_ICMP6(packet->type, packet->code);
	case CONTENT_ICMP_FRAGMENT:
		/* A later fragment has no type. If policy passes some types, it may pass the datagram, so its later
		 * fragments must pass. If policy drops the first fragment, no datagram is reassembled.
		 */
		return FILTERS_ALL && FORWARDED;
	default:
		return true;
	}
}

static __always_inline enum reason decide(struct packet *packet)
{
	struct listing listing[SIDES];
	struct control *state;
	u32 zero = 0;

	if (packet->content == CONTENT_OTHER)
		return REASON_NOT_ICMP;
	if (packet->content == CONTENT_MALFORMED)
		return REASON_MALFORMED;
	if (packet->content == CONTENT_UNADDRESSED)
		return STRICT ? REASON_TOO_MANY_TAGS : REASON_UNCLASSIFIED;
	if (!STRICT && packet->content == CONTENT_UNCLASSIFIED)
		return REASON_UNCLASSIFIED;
	if (PROTECT && packet->content == CONTENT_ICMP && is_protected(packet))
		return REASON_PROTECTED;
	packet->content = forgotten(packet->content, packet->bytes);
	state = control.lookup(&zero);
	if (state) {
		find_listing(state, SIDE_SOURCE, packet, &listing[SIDE_SOURCE]);
		find_listing(state, SIDE_DESTINATION, packet, &listing[SIDE_DESTINATION]);
		if (on_list(LIST_ALLOW, packet, listing))
			return REASON_ALLOWLIST;
		if (on_list(LIST_BLOCK, packet, listing))
			return REASON_BLOCKLIST;
	}
	if (!is_filtered(packet))
		return packet->content == CONTENT_UNCLASSIFIED ? REASON_UNCLASSIFIED : REASON_TYPE;
	if (packet->content != CONTENT_ICMP_FRAGMENT && over_limit(packet))
		return REASON_RATELIMIT;
	return POLICY == POLICY_PASS && packet->content == CONTENT_UNCLASSIFIED ? REASON_UNCLASSIFIED : POLICY;
}

#endif
