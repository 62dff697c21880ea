/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * The memory layouts that the tracers and user space share. The Python twin of this file is
 * plugins/module_utils/_pingkiller/trace/layout.py. No data in these layouts outlives a run, so they have no version.
 */
#ifndef PINGKILLER_TRACE_LAYOUT_H
#define PINGKILLER_TRACE_LAYOUT_H

#define COMM 16

/* Counts of calls and events that are missing from the results. One per CPU. */
struct missed {
	u64 lost;       /* a table or the buffer was full */
	u64 outside;    /* the process is not in user space's PID namespace */
	u64 unfinished; /* the thread ended before the call returned */
};

/* The key of the row that a call belongs to: the requested fields, as they were when the call began, and the error. */
struct row_key {
	u32 pid;
	u32 generation; /* how many new processes have got this pid since the run began */
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

/* How a task ended: its exit status, or the signal that ended it. 0 if neither is known. */
#define ENDING_STATUS(status) (ENDING_KNOWN | ((status) & 0xff))
#define ENDING_SIGNAL(signal) (ENDING_KNOWN | (u32)(signal) << 8)
#define ENDING_KNOWN 0x10000

/* The report of one process event to user space. Only an exec has a path. */
struct event {
	u64 time; /* CLOCK_MONOTONIC ns */
	u64 born; /* same clock, only for an exit: when the task began; 0: before the run */
	u32 kind;
	u32 pid;    /* process id */
	u32 thread; /* thread id, equal to pid for the first thread of a process */
	u32 parent;
	u32 user;
	u32 ending;
	char comm[COMM];
	char path[PATH]; /* ends with a zero byte; empty if it could not be read */
};

#endif
