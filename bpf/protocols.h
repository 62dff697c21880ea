/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * The wire formats that the filter reads, from IEEE 802.3 and 802.1Q, RFC 791, 792, 4302, 4443, 4861 and 8200.
 * Multi-byte fields are in network byte order.
 */
#ifndef PINGKILLER_PROTOCOLS_H
#define PINGKILLER_PROTOCOLS_H

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NET16(x) __builtin_bswap16(x)
#define NET32(x) __builtin_bswap32(x)
#else
#define NET16(x) (x)
#define NET32(x) (x)
#endif

struct ethernet_header {
	u8 destination[6];
	u8 source[6];
	__be16 ethertype;
};

struct vlan_tag {
	__be16 control;
	__be16 ethertype;
};

struct in6_address {
	u32 word[4];
};

struct ipv4_header {
	u8 version_ihl;
	u8 service;
	__be16 total_length;
	__be16 identification;
	__be16 fragment;
	u8 ttl;
	u8 protocol;
	__sum16 checksum;
	__be32 source;
	__be32 destination;
};

struct ipv6_header {
	__be32 version_class_flow;
	__be16 payload_length;
	u8 next_header;
	u8 hop_limit;
	struct in6_address source;
	struct in6_address destination;
};

/* The common part of all extension headers. Each of them is at least eight bytes long. */
struct ipv6_extension {
	u8 next_header;
	u8 length;
	__be16 fragment; /* in a fragment header, the upper 13 bits are the offset */
	u32 rest;
};

struct icmp_header {
	u8 type;
	u8 code;
	__sum16 checksum;
	u32 rest;
};

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_8021Q 0x8100
#define ETHERTYPE_8021AD 0x88a8

#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_MORE_FRAGMENTS 0x0001

enum ip_protocol {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_ICMP = 1,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_AUTHENTICATION = 51,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_DESTINATION_OPTIONS = 60,
	PROTOCOL_MOBILITY = 135,
	PROTOCOL_HIP = 139,
	PROTOCOL_SHIM6 = 140,
};

enum icmp4_type { ICMP4_UNREACHABLE = 3 };
enum icmp4_unreachable_code { ICMP4_FRAGMENTATION_NEEDED = 4 };

enum icmp6_type {
	ICMP6_PACKET_TOO_BIG = 2,
	ICMP6_MLD_QUERY = 130,
	ICMP6_MLD_REPORT = 131,
	ICMP6_MLD_DONE = 132,
	ICMP6_ROUTER_SOLICITATION = 133,
	ICMP6_ROUTER_ADVERTISEMENT = 134,
	ICMP6_NEIGHBOUR_SOLICITATION = 135,
	ICMP6_NEIGHBOUR_ADVERTISEMENT = 136,
	ICMP6_REDIRECT = 137,
	ICMP6_MLD2_REPORT = 143,
};

#endif
