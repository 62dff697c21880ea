/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * What the tracers and user space both lay out in memory. The Python twin of this file is
 * plugins/module_utils/_pingkiller/trace/layout.py. Nothing of it outlives a run, so there are no versions of it.
 */
#ifndef PINGKILLER_TRACE_LAYOUT_H
#define PINGKILLER_TRACE_LAYOUT_H

#define COMM 16

/* What is in no row, one per CPU. */
struct missed {
	u64 lost;       /* found a table or the buffer full */
	u64 outside;    /* of a process that is not of user space's PID namespace */
	u64 unfinished; /* ended with their thread */
};

/* Which row a call belongs to: all that is asked for, as it was when the call began, and its outcome. */
struct row_key {
	u32 pid;
	u32 generation; /* how many processes have had this pid since the run began */
	u32 user;
	u32 syscall;
	u32 error; /* errno, 0: none */
	s32 fd;    /* NO_FD: none */
	char comm[COMM];
};

#define NO_FD (-1)
#define BUCKETS 64

/* One per CPU and row. Without TIMED it ends after the first field. */
struct row {
	u64 calls;
#if TIMED
	u64 ns;
	u64 longest;
	u64 bytes;
	u64 small_calls;
	u64 small_bytes;
	u64 slow_calls;
	u64 slow_ns;
	u64 bucket[BUCKETS]; /* bucket b: 2^b to 2^(b+1) - 1 ns, the first from 0 */
#endif
};

enum event_kind { EVENT_CLONE, EVENT_FORK, EVENT_VFORK, EVENT_CLONE3, EVENT_EXEC, EVENT_EXIT };

#define PATH 256

/* How a task ended: status, or signal, if KNOWN. */
#define ENDING_STATUS(status) (ENDING_KNOWN | ((status) & 0xff))
#define ENDING_SIGNAL(signal) (ENDING_KNOWN | (u32)(signal) << 8)
#define ENDING_KNOWN 0x10000

/* What user space is told of a process. Only of an exec there is a path. */
struct event {
	u64 time; /* CLOCK_MONOTONIC ns */
	u64 born; /* the same of an exit, 0: before the run */
	u32 kind;
	u32 pid;    /* of the process */
	u32 thread; /* of the thread, the same as pid for a process */
	u32 parent;
	u32 user;
	u32 ending;
	char comm[COMM];
	char path[PATH]; /* with its zero byte; empty if it could not be read */
};

#endif
