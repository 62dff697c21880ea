/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Identifies the current task and applies the filters. Each filter is a -D definition that exists only if it is used:
 *
 *   OWN_PID                          the process that reads the trace, which is left out
 *   NAMESPACE_DEVICE, NAMESPACE_INODE   user space's PID namespace, if it is not the first one
 *   ONLY_PID, ONLY_USER              numbers
 *   ONLY_COMM_LOW, ONLY_COMM_HIGH    the 16 bytes of a command name as two numbers
 *   ONLY_CGROUP                      the cgroup in the array `cgroups`, and those below it
 */
#ifndef PINGKILLER_TRACE_WHO_H
#define PINGKILLER_TRACE_WHO_H

BPF_PERCPU_ARRAY(missed, struct missed, 1);

#ifdef ONLY_CGROUP
BPF_CGROUP_ARRAY(cgroups, 1);
#endif

struct who {
	u32 pid; /* process id in user space's PID namespace */
	u32 thread;
	u32 user;
	char comm[COMM] __attribute__((aligned(8)));
};

static __always_inline struct missed *my_missed(void)
{
	u32 zero = 0;

	return missed.lookup(&zero);
}

static __always_inline void count_lost(void)
{
	struct missed *mine = my_missed();

	if (mine)
		mine->lost++;
}

static __always_inline void count_outside(void)
{
	struct missed *mine = my_missed();

	if (mine)
		mine->outside++;
}

static __always_inline bool has_comm(const struct who *who)
{
#ifdef ONLY_COMM_LOW
	const u64 *words = (const u64 *)who->comm;

	return words[0] == ONLY_COMM_LOW && words[1] == ONLY_COMM_HIGH;
#else
	return true;
#endif
}

static __always_inline bool has_user(const struct who *who)
{
#ifdef ONLY_USER
	return who->user == ONLY_USER;
#else
	return true;
#endif
}

static __always_inline bool has_cgroup(void)
{
#ifdef ONLY_CGROUP
	return cgroups.check_current_task(0) > 0;
#else
	return true;
#endif
}

/* Sets the ids of the current task in user space's PID namespace. Returns false if it has none there. */
static __always_inline bool identify(struct who *who)
{
#ifdef NAMESPACE_INODE
	struct bpf_pidns_info ids = {};

	if (bpf_get_ns_current_pid_tgid(NAMESPACE_DEVICE, NAMESPACE_INODE, &ids, sizeof(ids)))
		return false;
	who->pid = ids.tgid;
	who->thread = ids.pid;
#else
	u64 ids = bpf_get_current_pid_tgid();

	who->pid = ids >> 32;
	who->thread = ids;
#endif
	return true;
}

static __always_inline bool is_asked_for(struct who *who)
{
	bool known = identify(who);

	if (known && who->pid == OWN_PID)
		return false;
#ifdef ONLY_PID
	if (!known || who->pid != ONLY_PID)
		return false;
#endif
	who->user = bpf_get_current_uid_gid();
	bpf_get_current_comm(who->comm, sizeof(who->comm));
	if (!has_user(who) || !has_comm(who) || !has_cgroup())
		return false;
	if (!known)
		count_outside();
	return known;
}

/* Whether the current task is the first of its process. This holds in any PID namespace. */
static __always_inline bool leads(void)
{
	u64 ids = bpf_get_current_pid_tgid();

	return (u32)ids == ids >> 32;
}

#endif
