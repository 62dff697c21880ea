/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From a frame's bytes to what the verdict needs. One small parser per header; each takes its header off the cursor and
 * returns what comes next, or NULL where the frame ends too early.
 */
#ifndef PINGKILLER_PARSE_H
#define PINGKILLER_PARSE_H

#define MAX_VLAN_TAGS 2
#define VLAN_ID 0x0fff
#define MAX_IPV6_EXTENSIONS 8

struct cursor {
	void *position;
	void *end;
	bool exhausted; /* something was to be read behind the end */
};

enum content { CONTENT_OTHER, CONTENT_UNREADABLE, CONTENT_ICMP, CONTENT_ICMP_FRAGMENT };

/* An address as the indexes are keyed by: alone in the hash maps, behind its prefix length in the tries. IPv4 is in the
 * first word.
 */
struct endpoint {
	u32 prefix_length;
	struct in6_address address;
};

struct packet {
	enum family family;
	u32 bytes; /* the whole frame */
	u16 vlan;  /* id in the outer tag, NO_VLAN: none */
	u8 protocol;
	u8 type; /* of CONTENT_ICMP only: a later fragment has none */
	u8 code;
	bool forwarded; /* by this host, for others; looked at only where that makes a difference */
	/* SIDES of them, of CONTENT_ICMP and CONTENT_ICMP_FRAGMENT; while tracing, of every IP packet. Not in here, because
	 * helpers take pointers to them: what has no pointer to it stays in registers.
	 */
	struct endpoint *endpoint;
};

/* The header at the cursor, which moves behind it; NULL if the frame is too short for it. */
static __always_inline void *take(struct cursor *cursor, u32 size)
{
	void *header = cursor->position;

	if (header + size > cursor->end) {
		cursor->exhausted = true;
		return NULL;
	}
	cursor->position = header + size;
	return header;
}

static __always_inline enum content parse_icmp(struct cursor *cursor, struct packet *packet)
{
	struct icmp_header *icmp = take(cursor, sizeof(*icmp));

	if (!icmp)
		return CONTENT_UNREADABLE;
	packet->type = icmp->type;
	packet->code = icmp->code;
	return CONTENT_ICMP;
}

static __always_inline enum content parse_ipv4(struct cursor *cursor, struct packet *packet)
{
	struct ipv4_header *ip = take(cursor, sizeof(*ip));
	u32 options;

	if (!ip || ip->version_ihl >> 4 != 4)
		return CONTENT_OTHER;
	packet->family = IPV4;
	packet->protocol = ip->protocol;
	if (ip->protocol != PROTOCOL_ICMP && !TRACE)
		return CONTENT_OTHER;
	packet->endpoint[SOURCE].address.word[0] = ip->source;
	packet->endpoint[DESTINATION].address.word[0] = ip->destination;
	if (ip->protocol != PROTOCOL_ICMP)
		return CONTENT_OTHER;
	options = (ip->version_ihl & 0xf) * 4 - sizeof(*ip);
	/* A header length below 20 wraps around to more than any header can have. */
	if (options > 40 || !take(cursor, options))
		return CONTENT_UNREADABLE;
	if (ip->fragment & NET16(IPV4_FRAGMENT_OFFSET))
		return CONTENT_ICMP_FRAGMENT;
	return parse_icmp(cursor, packet);
}

static __always_inline bool is_ipv6_extension(u8 protocol)
{
	switch (protocol) {
	case PROTOCOL_HOP_BY_HOP:
	case PROTOCOL_ROUTING:
	case PROTOCOL_FRAGMENT:
	case PROTOCOL_AUTHENTICATION:
	case PROTOCOL_DESTINATION_OPTIONS:
	case PROTOCOL_MOBILITY:
	case PROTOCOL_HIP:
	case PROTOCOL_SHIM6:
		return true;
	}
	return false;
}

/* Bytes of an extension header beyond its first eight. */
static __always_inline u32 ipv6_extension_rest(u8 protocol, u8 length)
{
	if (protocol == PROTOCOL_FRAGMENT)
		return 0;
	/* The authentication header counts words of four bytes, less two (RFC 4302, 2.2). */
	return protocol == PROTOCOL_AUTHENTICATION ? length * 4 : length * 8;
}

/* Walk the extension headers from `protocol` on. */
static __always_inline enum content parse_ipv6_payload(struct cursor *cursor, u8 protocol, struct packet *packet)
{
	struct ipv6_extension *extension;
	int i;

#pragma unroll
	for (i = 0; i < MAX_IPV6_EXTENSIONS; i++) {
		if (!is_ipv6_extension(protocol))
			break;
		extension = take(cursor, sizeof(*extension));
		if (!extension || !take(cursor, ipv6_extension_rest(protocol, extension->length)))
			return CONTENT_UNREADABLE;
		/* Behind any next header but ICMPv6 stands the middle of a datagram: no way to tell what it is. */
		if (protocol == PROTOCOL_FRAGMENT && extension->fragment & NET16(IPV6_FRAGMENT_OFFSET))
			return extension->next_header == PROTOCOL_ICMPV6 ? CONTENT_ICMP_FRAGMENT : CONTENT_OTHER;
		protocol = extension->next_header;
		packet->protocol = protocol;
	}
	if (protocol == PROTOCOL_ICMPV6)
		return parse_icmp(cursor, packet);
	return is_ipv6_extension(protocol) ? CONTENT_UNREADABLE : CONTENT_OTHER;
}

static __always_inline enum content parse_ipv6(struct cursor *cursor, struct packet *packet)
{
	struct ipv6_header *ip = take(cursor, sizeof(*ip));
	enum content content;

	if (!ip || *(u8 *)ip >> 4 != 6)
		return CONTENT_OTHER;
	packet->family = IPV6;
	packet->protocol = ip->next_header;
	content = parse_ipv6_payload(cursor, ip->next_header, packet);
	if (content != CONTENT_OTHER || TRACE) {
		packet->endpoint[SOURCE].address = ip->source;
		packet->endpoint[DESTINATION].address = ip->destination;
	}
	return content;
}

static __always_inline enum content parse_frame(struct cursor *cursor, struct packet *packet)
{
	struct ethernet_header *ethernet = take(cursor, sizeof(*ethernet));
	struct vlan_tag *tag;
	__be16 ethertype;
	int i;

	if (!ethernet)
		return CONTENT_OTHER;
	ethertype = ethernet->ethertype;
#pragma unroll
	for (i = 0; i < MAX_VLAN_TAGS; i++) {
		if (ethertype != NET16(ETHERTYPE_8021Q) && ethertype != NET16(ETHERTYPE_8021AD))
			break;
		tag = take(cursor, sizeof(*tag));
		if (!tag)
			return CONTENT_OTHER;
		if (packet->vlan == NO_VLAN)
			packet->vlan = NET16(tag->control) & VLAN_ID;
		ethertype = tag->ethertype;
	}
	if (ethertype == NET16(ETHERTYPE_IPV4))
		return parse_ipv4(cursor, packet);
	if (ethertype == NET16(ETHERTYPE_IPV6))
		return parse_ipv6(cursor, packet);
	return CONTENT_OTHER;
}

#endif
