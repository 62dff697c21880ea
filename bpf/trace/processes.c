/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Tell user space of processes and threads that are born, become another program, or end. The kernel's tracepoints show
 * tasks as pointers into structures that are not known here, so each of these is told in the task that it is about, and
 * put together from what was noted before: in the parent which call it made, at an exec the file, and what a task that
 * ends has said last or was killed by. Definitions, beside those of who.h: TASKS, BIRTHS, FILES, ENDINGS, EVENT_PAGES, which
 * are sizes of tables.
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
	u32 wanted; /* somebody asked for what its parent does */
	u32 told;
};

struct file {
	char path[PATH];
};

BPF_HASH(forking, u64, u32, TASKS);                /* the call that a task is making, by task */
BPF_HASH(births, u64, struct birth, BIRTHS);       /* of those that live, by task */
BPF_HASH(execs, u64, struct file, FILES);          /* by task */
BPF_HASH(last_words, u64, u32, TASKS);             /* the status that a thread has ended with, by task */
BPF_TABLE("lru_hash", u32, u32, endings, ENDINGS); /* how a whole process ends, by its pid in the first namespace */
BPF_TABLE("lru_hash", u64, u32, signals, ENDINGS); /* that was last sent to it, by task */
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

/* The task itself tells that it was born: only it knows its ids. On x86-64 it first passes sys_exit, on arm64 the entry of
 * its first call, or its end.
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
	if (leads()) { /* whoever had this pid before has ended */
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
		file->path[0] = 0; /* paged out */
	execs.update(&task, file);
}

/* The last call of a process decides: an earlier signal it has survived. */
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

/* In the parent. What kernel threads and io_uring start is made by no such call. */
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

	endings.delete(&pid); /* it was the other threads that were killed */
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

/* CHLD CONT STOP TSTP TTIN TTOU URG WINCH: those that end nothing when nobody handles them. */
#define HARMLESS (1 << 17 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21 | 1 << 22 | 1 << 23 | 1 << 28)

static __always_inline bool is_deadly(u32 signal)
{
	return signal > 31 || !(HARMLESS >> signal & 1);
}

/* In whoever sends it. If nobody handles it, the kernel lets all threads of the process find SIGKILL in its place. */
int generated(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = ctx->args[2];
	u32 signal = ctx->args[0];

	if (ctx->args[4] == DELIVERED && is_deadly(signal))
		signals.update(&task, &signal);
	return 0;
}

/* The first word is the one: the other threads of a process that ends get SIGKILL. */
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
