/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Reports to user space when processes and threads begin, execute another program, or end. The kernel's tracepoints
 * give tasks as pointers to structures whose layout is not known here. So each event is sent while its own task runs.
 * It includes what earlier tracepoints stored: the call that the parent made, the file of an exec, and the exit status
 * or signal of a task that ends. Definitions, in addition to who.h: TASKS, BIRTHS, FILES, ENDINGS, EVENT_PAGES, the
 * sizes of tables.
 */
#include <uapi/linux/bpf.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#include "trace/layout.h"
#include "trace/machine.h"
#include "trace/who.h"

struct birth {
	u64 time;
	u32 kind;
	u32 parent;
	u32 wanted; /* the parent passes the filters */
	u32 told;
};

struct file {
	char path[PATH];
};

BPF_HASH(forking, u64, u32, TASKS);                /* the clone or fork call that a task is making, by task */
BPF_HASH(births, u64, struct birth, BIRTHS);       /* of the living tasks, by task */
BPF_HASH(execs, u64, struct file, FILES);          /* the file of the exec in progress, by task */
BPF_HASH(last_words, u64, u32, TASKS);             /* the exit status of a thread, by task */
BPF_TABLE("lru_hash", u32, u32, endings, ENDINGS); /* how a process ends, by its pid in the first namespace */
BPF_TABLE("lru_hash", u64, u32, signals, ENDINGS); /* the last deadly signal to a task, by task */
BPF_PERCPU_ARRAY(scratch, struct event, 1);
BPF_RINGBUF_OUTPUT(events, EVENT_PAGES);

#define KILL 9
#define DELIVERED 0
#define SHORT __builtin_offsetof(struct event, path) /* an event without its path */

static __always_inline struct event *begin(u32 kind, const struct who *who)
{
	struct event *event;
	u32 zero = 0;

	event = scratch.lookup(&zero);
	if (!event)
		return NULL;
	event->time = bpf_ktime_get_ns();
	event->born = 0;
	event->kind = kind;
	event->pid = who->pid;
	event->thread = who->thread;
	event->parent = 0;
	event->user = who->user;
	event->ending = 0;
	*(u64 *)event->comm = *(const u64 *)who->comm;
	*(u64 *)(event->comm + 8) = *(const u64 *)(who->comm + 8);
	event->path[0] = 0;
	return event;
}

static __always_inline void send(struct event *event, u32 size)
{
	if (events.ringbuf_output(event, size, 0))
		count_lost();
}

/* Reports the birth of the current task. The parent cannot do this, because it does not know the ids of the new task.
 * On x86-64 a new task first passes sys_exit. On arm64 it first passes the entry of its first call, or its end.
 */
static __always_inline void tell_birth(u64 task)
{
	struct birth *birth = births.lookup(&task);
	struct event *event;
	struct who who = {};
	u32 pid;

	if (!birth || birth->told)
		return;
	birth->told = 1;
	if (leads()) { /* the process that had this pid before has ended */
		pid = bpf_get_current_pid_tgid();
		endings.delete(&pid);
	}
	if (!birth->wanted)
		return;
	if (!identify(&who)) {
		count_outside();
		return;
	}
	who.user = bpf_get_current_uid_gid();
	bpf_get_current_comm(who.comm, sizeof(who.comm));
	event = begin(birth->kind, &who);
	if (!event)
		return;
	event->time = birth->time;
	event->parent = birth->parent;
	send(event, SHORT);
}

static __always_inline void note_exec(u64 task, u64 path)
{
	struct event *event;
	struct file *file;
	u32 zero = 0;

	event = scratch.lookup(&zero);
	if (!event)
		return;
	file = (struct file *)event->path;
	if (bpf_probe_read_user_str(file->path, sizeof(file->path), (const void *)path) < 0)
		file->path[0] = 0; /* the page is not in memory */
	execs.update(&task, file);
}

/* Overwrites a signal that was recorded earlier, because the process survived it. */
static __always_inline void note_ending(u64 task, bool group, u32 status)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	u32 ending = ENDING_STATUS(status);

	if (group)
		endings.update(&pid, &ending);
	else if (last_words.update(&task, &ending))
		count_lost();
}

int entered(struct bpf_raw_tracepoint_args *ctx)
{
	const void *regs = (const void *)ctx->args[0];
	u64 task = bpf_get_current_task();
	u32 number = number_of(ctx);
	enum call_kind kind = kind_of(number);
	bool compat = number & COMPAT;
	u32 noted = kind;

	tell_birth(task);
	switch (kind) {
	case CALL_CLONE:
	case CALL_FORK:
	case CALL_VFORK:
	case CALL_CLONE3:
		if (forking.update(&task, &noted))
			count_lost();
		break;
	case CALL_EXECVE:
		note_exec(task, first_argument(regs, compat));
		break;
	case CALL_EXECVEAT:
		note_exec(task, second_argument(regs, compat));
		break;
	case CALL_EXIT:
	case CALL_EXIT_GROUP:
		note_ending(task, kind == CALL_EXIT_GROUP, first_argument(regs, compat));
		break;
	default:
		break;
	}
	return 0;
}

int returned(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = bpf_get_current_task();

	tell_birth(task);
	forking.delete(&task);
	execs.delete(&task);
	return 0;
}

/* Runs in the parent. Leaves out tasks that no call has made: those of kernel threads and io_uring. */
int forked(struct bpf_raw_tracepoint_args *ctx)
{
	u64 parent = bpf_get_current_task();
	u64 child = ctx->args[1];
	struct birth birth = {};
	struct who who = {};
	u32 *kind;

	kind = forking.lookup(&parent);
	if (!kind)
		return 0;
	birth.time = bpf_ktime_get_ns();
	birth.kind = *kind;
	birth.wanted = is_asked_for(&who);
	birth.parent = who.pid;
	if (births.update(&child, &birth))
		count_lost();
	return 0;
}

int executed(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = bpf_get_current_task();
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct event *event;
	struct who who = {};
	struct file *file;

	endings.delete(&pid); /* if SIGKILL was recorded, it was for the other threads */
	if (!is_asked_for(&who))
		return 0;
	event = begin(EVENT_EXEC, &who);
	if (!event)
		return 0;
	file = execs.lookup(&task);
	if (file)
		*(struct file *)event->path = *file;
	send(event, sizeof(*event));
	return 0;
}

/* CHLD CONT STOP TSTP TTIN TTOU URG WINCH: these do not end a process that has no handler for them. */
#define HARMLESS (1 << 17 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21 | 1 << 22 | 1 << 23 | 1 << 28)

static __always_inline bool is_deadly(u32 signal)
{
	return signal > 31 || !(HARMLESS >> signal & 1);
}

/* Runs in the sender. If the process has no handler, the kernel delivers SIGKILL to all its threads instead. */
int generated(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = ctx->args[2];
	u32 signal = ctx->args[0];

	if (ctx->args[4] == DELIVERED && is_deadly(signal))
		signals.update(&task, &signal);
	return 0;
}

/* Keeps what was recorded first, unless it is SIGKILL, which the other threads of an ending process get. */
static __always_inline void note_signal(u64 task, u32 signal)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	u32 *before = endings.lookup(&pid), *sent = NULL;
	u32 ending;

	if (before && *before != ENDING_SIGNAL(KILL))
		return;
	if (signal == KILL)
		sent = signals.lookup(&task);
	ending = ENDING_SIGNAL(sent ? *sent : signal);
	if (!before || sent)
		endings.update(&pid, &ending);
}

int delivered(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = bpf_get_current_task();
	u32 signal = ctx->args[0];
	u64 handler = 1;

	if (!is_deadly(signal))
		return 0;
	bpf_probe_read_kernel(&handler, sizeof(handler), (const void *)ctx->args[2]);
	if (!handler)
		note_signal(task, signal);
	else
		signals.delete(&task);
	return 0;
}

static __always_inline u32 ending_of(u64 task)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	u32 *found;

	found = endings.lookup(&pid);
	if (found)
		return *found;
	found = last_words.lookup(&task);
	return found ? *found : 0;
}

static __always_inline void tell_exit(u64 task)
{
	struct birth *birth;
	struct event *event;
	struct who who = {};

	if (!is_asked_for(&who))
		return;
	event = begin(EVENT_EXIT, &who);
	if (!event)
		return;
	birth = births.lookup(&task);
	if (birth)
		event->born = birth->time;
	event->ending = ending_of(task);
	send(event, SHORT);
}

int ended(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = bpf_get_current_task();

	tell_birth(task);
	tell_exit(task);
	births.delete(&task);
	forking.delete(&task);
	execs.delete(&task);
	last_words.delete(&task);
	signals.delete(&task);
	return 0;
}
