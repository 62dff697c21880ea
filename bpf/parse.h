/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Parses the bytes of a frame into what the verdict needs. There is one small parser per header. Each parser takes its
 * header from the cursor and stops where the frame ends too early.
 */
#ifndef PINGKILLER_PARSE_H
#define PINGKILLER_PARSE_H

#define MAX_VLAN_TAGS 16
#define VLAN_ID 0x0fff
#define MAX_IPV6_EXTENSIONS 24

struct cursor {
	void *position;
	void *end;
	bool exhausted; /* a parser tried to read after the end */
};

/* Linux removes VLAN tags and follows extension headers without a limit. It also reassembles fragments if the first one
 * does not have all headers. So a frame may be ICMP although the filter cannot read far enough to see it.
 */
enum content {
	CONTENT_OTHER,
	CONTENT_MALFORMED, /* ends before its headers do */
	CONTENT_ICMP,
	CONTENT_ICMP_FRAGMENT, /* a later fragment */
	CONTENT_UNCLASSIFIED,  /* the last header is out of reach */
	CONTENT_UNADDRESSED,   /* the addresses are out of reach, too */
};

/* An address as a key of the indexes. The hash maps use the address alone. The tries use the prefix length followed by
 * the address. An IPv4 address is in the first word.
 */
struct endpoint {
	u32 prefix_length;
	struct in6_address address;
};

struct packet {
	enum content content;
	enum family family;
	u32 bytes; /* the whole frame */
	u16 vlan;  /* id in the outer tag, NO_VLAN: none */
	u8 protocol;
	u8 type; /* only for CONTENT_ICMP, a later fragment has no type */
	u8 code;
	u8 hop_limit; /* only for IPv6 */
	/* For a forwarded packet that leaves: the interface where it arrived. 0: this host sends the packet itself.
	 * Only set if FORWARDED is 0.
	 */
	u32 came_in_by;
	/* SIDES elements. They are set for all contents except CONTENT_OTHER and CONTENT_UNADDRESSED, and while tracing
	 * for every IP packet. They are not part of this struct because helpers take pointers to them. Without pointers
	 * to it, the rest of the struct stays in registers.
	 */
	struct endpoint *endpoint;
};

/* Returns the header at the cursor and moves the cursor after it. Returns NULL if the frame is too short. */
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

/* Returns the same number, and shows the verifier that it is below `limit`, a power of two. Verifiers of early kernels
 * lose the bounds that follow from arithmetic.
 */
static __always_inline u32 below(u32 number, u32 limit)
{
	/* Without this, the compiler knows the bounds and leaves the mask out. */
	asm volatile("" : "+r"(number));
	return number & (limit - 1);
}

/* Returns the same number, but a verifier then knows only that it is below 128. If paths differ in nothing else, the
 * verifier continues with one of them. `unknown` is any number that the verifier does not know.
 */
static __always_inline u32 forgotten(u32 number, u32 unknown)
{
	unknown &= 0x7f;
	number ^= unknown;
	asm volatile("" : "+r"(number));
	return below(number ^ unknown, 128);
}

static __always_inline enum content parse_icmp(struct cursor *cursor, struct packet *packet)
{
	struct icmp_header *icmp = take(cursor, sizeof(*icmp));

	if (!icmp)
		return CONTENT_MALFORMED;
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
	packet->family = FAMILY_IPV4;
	packet->protocol = ip->protocol;
	if (ip->protocol != PROTOCOL_ICMP && !TRACING)
		return CONTENT_OTHER;
	packet->endpoint[SIDE_SOURCE].address.word[0] = ip->source;
	packet->endpoint[SIDE_DESTINATION].address.word[0] = ip->destination;
	if (ip->protocol != PROTOCOL_ICMP)
		return CONTENT_OTHER;
	options = (ip->version_ihl & 0xf) * 4 - sizeof(*ip);
	/* A header length below 20 makes `options` wrap around to a number above 40. */
	if (options > 40 || !take(cursor, options))
		return CONTENT_MALFORMED;
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

/* Returns 1 or 0, without a jump. So verifiers follow a chain of headers once, not once for every mix of their kinds.
 */
static __always_inline u32 is_equal(u32 a, u32 b)
{
	u32 result = ((u64)(a ^ b) - 1) >> 63;

	/* Without this, the compiler makes a jump of it. */
	asm volatile("" : "+r"(result));
	return result;
}

/* Returns the number of bytes of an extension header after its first eight. A fragment header has no length field. The
 * length of an authentication header is in words of four bytes, minus two (RFC 4302, 2.2).
 */
static __always_inline u32 ipv6_extension_rest(u8 protocol, u8 length)
{
	u32 unit = 8 - 4 * is_equal(protocol, PROTOCOL_AUTHENTICATION);

	return below(length * unit * (1 - is_equal(protocol, PROTOCOL_FRAGMENT)), 256 * 8);
}

/* Parses what follows the last extension header. */
static __always_inline enum content parse_ipv6_payload(struct cursor *cursor, u8 protocol, struct packet *packet)
{
	packet->protocol = protocol;
	return protocol == PROTOCOL_ICMPV6 ? parse_icmp(cursor, packet) : CONTENT_OTHER;
}

/* Walks the extension headers from `protocol` on. Sets `first_fragment` if more fragments are to follow this one. */
static __always_inline enum content walk_ipv6_extensions(struct cursor *cursor, u8 protocol, struct packet *packet,
							 u32 *first_fragment)
{
	struct ipv6_extension *extension;
	u32 fragment;
	int i;

#pragma nounroll
	for (i = 0; i < MAX_IPV6_EXTENSIONS && is_ipv6_extension(protocol); i++) {
		packet->protocol = protocol;
		extension = take(cursor, sizeof(*extension));
		if (!extension || !take(cursor, ipv6_extension_rest(protocol, extension->length)))
			return CONTENT_MALFORMED;
		fragment = extension->fragment * is_equal(protocol, PROTOCOL_FRAGMENT);
		/* For any next header except ICMPv6, the middle of a datagram follows. Nothing shows what it is. */
		if (fragment & NET16(IPV6_FRAGMENT_OFFSET))
			return extension->next_header == PROTOCOL_ICMPV6 ? CONTENT_ICMP_FRAGMENT : CONTENT_OTHER;
		*first_fragment |= fragment & NET16(IPV6_MORE_FRAGMENTS);
		protocol = extension->next_header;
	}
	if (is_ipv6_extension(protocol)) {
		packet->protocol = protocol;
		return CONTENT_UNCLASSIFIED;
	}
	return parse_ipv6_payload(cursor, protocol, packet);
}

static __always_inline enum content parse_ipv6_extensions(struct cursor *cursor, const struct ipv6_header *ip,
							  struct packet *packet)
{
	void *payload = cursor->position;
	u32 first_fragment = 0;
	enum content content = walk_ipv6_extensions(cursor, ip->next_header, packet, &first_fragment);

	/* The kernel cuts off the bytes after the payload, and the bytes of another fragment take their place. */
	if (first_fragment &&
	    (content == CONTENT_MALFORMED || cursor->position - payload > NET16(ip->payload_length))) {
		packet->protocol = PROTOCOL_FRAGMENT;
		return CONTENT_UNCLASSIFIED;
	}
	return content;
}

static __always_inline enum content parse_ipv6(struct cursor *cursor, struct packet *packet)
{
	struct ipv6_header *ip = take(cursor, sizeof(*ip));
	enum content content;

	if (!ip || *(u8 *)ip >> 4 != 6)
		return CONTENT_OTHER;
	packet->family = FAMILY_IPV6;
	packet->hop_limit = ip->hop_limit;
	/* Nearly all packets have no extension headers and skip the loop. */
	content = is_ipv6_extension(ip->next_header) ? parse_ipv6_extensions(cursor, ip, packet)
						     : parse_ipv6_payload(cursor, ip->next_header, packet);
	if (content != CONTENT_OTHER || TRACING) {
		packet->endpoint[SIDE_SOURCE].address = ip->source;
		packet->endpoint[SIDE_DESTINATION].address = ip->destination;
	}
	return content;
}

static __always_inline bool is_vlan_tag(__be16 ethertype)
{
	return ethertype == NET16(ETHERTYPE_8021Q) || ethertype == NET16(ETHERTYPE_8021AD);
}

/* Moves the cursor after all tags. Returns the ethertype from the last tag. This is the ethertype of a tag if there are
 * too many tags. Returns 0 if the frame ends too early.
 */
static __always_inline __be16 skip_vlan_tags(struct cursor *cursor, __be16 ethertype, struct packet *packet)
{
	void *start = cursor->position;
	struct vlan_tag *tag = NULL;
	int i;

#pragma nounroll
	for (i = 0; i < MAX_VLAN_TAGS && is_vlan_tag(ethertype); i++) {
		tag = take(cursor, sizeof(*tag));
		if (!tag)
			return 0;
		if (i == 0 && packet->vlan == NO_VLAN)
			packet->vlan = NET16(tag->control) & VLAN_ID;
		ethertype = tag->ethertype;
	}
	cursor->position = start + forgotten(i * sizeof(*tag), packet->bytes);
	return ethertype;
}

static __always_inline enum content parse_frame(struct cursor *cursor, struct packet *packet)
{
	struct ethernet_header *ethernet = take(cursor, sizeof(*ethernet));
	__be16 ethertype;

	if (!ethernet)
		return CONTENT_OTHER;
	ethertype = ethernet->ethertype;
	if (is_vlan_tag(ethertype)) {
		ethertype = skip_vlan_tags(cursor, ethertype, packet);
		if (is_vlan_tag(ethertype))
			return CONTENT_UNADDRESSED;
	}
	if (ethertype == NET16(ETHERTYPE_IPV4))
		return parse_ipv4(cursor, packet);
	if (ethertype == NET16(ETHERTYPE_IPV6))
		return parse_ipv6(cursor, packet);
	return CONTENT_OTHER;
}

#endif
