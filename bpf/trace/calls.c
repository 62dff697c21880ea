/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Counts system calls. A call is stored by its task when it is entered, and added to its row when it returns. So calls
 * that began before the run are not counted, and calls that have not returned at the end of the run are still stored.
 * exit and exit_group never return, so they are counted when they are entered. Definitions, in addition to who.h:
 *
 *   ONLY_SYSCALL             count only the call with this number; all calls if it is not defined
 *   BY_PID, BY_USER, BY_COMM, BY_SYSCALL, BY_FD   0 or 1: is this field part of the row key?
 *   HAS_LENGTH               1: the call returns a number of bytes
 *   TIMED                    1: measure how long calls take
 *   MIN_NS                   leave out calls that took less time
 *   SMALL_BYTES, SLOW_NS     calls that returned fewer bytes, or took at least this long, also get sums of their own
 *   ROWS, TASKS, BIRTHS, PROCESSES, NEWCOMER_PAGES   sizes of the tables
 */
#include <uapi/linux/bpf.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#include "trace/layout.h"
#include "trace/machine.h"
#include "trace/who.h"

#define LAST_ERROR 4095

struct call {
	struct row_key key;
	u64 began;
	u64 resumes; /* sigreturn: the value it returns is not its own result */
};

BPF_HASH(calls, u64, struct call, TASKS); /* by task */
BPF_TABLE("percpu_hash", struct row_key, struct row, rows, ROWS);
BPF_PERCPU_ARRAY(blank, struct row, 1); /* a row is too large for the stack */

#if BY_PID
/* Counts the new processes that have got each pid. There is room for every pid that the kernel can assign. */
#define PER_CELL 64
struct generations {
	u16 of[PER_CELL];
};
BPF_ARRAY(generations, struct generations, PROCESSES / PER_CELL);
BPF_HASH(newborn, u64, u8, BIRTHS);

static __always_inline u16 *my_generation(void)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	u32 number = pid / PER_CELL;
	struct generations *cell = generations.lookup(&number);

	return cell ? &cell->of[pid % PER_CELL] : NULL;
}

/* Handles the first call of a task. If the task is the first of its process, its pid now belongs to a new process. */
static __always_inline void note_birth(u64 task)
{
	u16 *generation;

	if (!newborn.lookup(&task))
		return;
	newborn.delete(&task);
	generation = leads() ? my_generation() : NULL;
	if (generation)
		++*generation;
}
#endif

#if BY_FD
BPF_RINGBUF_OUTPUT(newcomers, NEWCOMER_PAGES);
#endif

static __always_inline u64 clock(void)
{
	return TIMED ? bpf_ktime_get_ns() : 0;
}

#if TIMED
static __always_inline u32 logarithm(u64 number)
{
	u32 result = 0, bits;

#pragma unroll
	for (bits = 32; bits; bits >>= 1) {
		if (number >> bits) {
			number >>= bits;
			result += bits;
		}
	}
	return result;
}

static __always_inline void measure(struct row *row, u64 elapsed, s64 result)
{
	row->ns += elapsed;
	if (elapsed > row->longest)
		row->longest = elapsed;
	row->bucket[logarithm(elapsed) % BUCKETS]++;
	if (elapsed >= SLOW_NS) {
		row->slow_calls++;
		row->slow_ns += elapsed;
	}
#if HAS_LENGTH
	if (result < 0)
		return;
	row->bytes += result;
	if (result < SMALL_BYTES) {
		row->small_calls++;
		row->small_bytes += result;
	}
#endif
}
#endif

static __always_inline struct row *add_row(struct row_key *key)
{
	struct row *empty;
	u32 zero = 0;

	empty = blank.lookup(&zero);
	if (!empty)
		return NULL;
#if BY_FD
	if (!rows.insert(key, empty))
		newcomers.ringbuf_output(key, sizeof(*key), 0);
#else
	rows.insert(key, empty); /* does nothing if another CPU has just added the row */
#endif
	return rows.lookup(key);
}

static __always_inline struct row *find_row(struct row_key *key)
{
	struct row *row = rows.lookup(key);

	if (!row)
		row = add_row(key);
	if (row)
		row->calls++;
	else
		count_lost();
	return row;
}

static __always_inline void fill(struct row_key *key, const struct who *who, u32 number, const void *regs)
{
#if BY_PID
	u16 *generation = my_generation();

	key->pid = who->pid;
	key->generation = generation ? *generation : 0;
#endif
#if BY_USER
	key->user = who->user;
#endif
#if BY_COMM
	*(u64 *)key->comm = *(const u64 *)who->comm;
	*(u64 *)(key->comm + 8) = *(const u64 *)(who->comm + 8);
#endif
#if BY_SYSCALL
	key->syscall = number;
#endif
#if BY_FD
	key->fd = first_argument(regs, false);
#else
	key->fd = NO_FD;
#endif
}

int entered(struct bpf_raw_tracepoint_args *ctx)
{
	const void *regs = (const void *)ctx->args[0];
	u64 task = bpf_get_current_task();
	struct call call = {};
	struct who who = {};
	enum call_kind kind;
	u32 number;

#if BY_PID
	note_birth(task);
#endif
#ifdef ONLY_SYSCALL
	if ((u32)ctx->args[1] != ONLY_SYSCALL)
		return 0;
#endif
	number = number_of(ctx);
#ifdef ONLY_SYSCALL
	if (number & COMPAT)
		return 0;
#endif
	if (!is_asked_for(&who))
		return 0;
	fill(&call.key, &who, number, regs);
	kind = kind_of(number);
	if (kind == CALL_EXIT || kind == CALL_EXIT_GROUP) {
		if (!MIN_NS)
			find_row(&call.key);
		return 0;
	}
	call.resumes = kind == CALL_SIGRETURN;
	call.began = clock();
	if (calls.update(&task, &call))
		count_lost();
	return 0;
}

int returned(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = bpf_get_current_task();
	s64 result = ctx->args[1];
	struct row_key key;
	struct call *call;
	struct row *row;
	u64 elapsed;

	call = calls.lookup(&task);
	if (!call)
		return 0;
	elapsed = clock() - call->began;
	key = call->key;
	if (result < 0 && result >= -LAST_ERROR && !call->resumes)
		key.error = -result;
	calls.delete(&task);
	if (elapsed < MIN_NS)
		return 0;
	row = find_row(&key);
#if TIMED
	if (row)
		measure(row, elapsed, result);
#endif
	return 0;
}

/* A call that was in progress when its thread ended never returns. */
int ended(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = bpf_get_current_task();
	struct missed *mine = my_missed();

#if BY_PID
	newborn.delete(&task);
#endif
	if (mine && calls.lookup(&task)) {
		calls.delete(&task);
		mine->unfinished++;
	}
	return 0;
}

#if BY_PID
int forked(struct bpf_raw_tracepoint_args *ctx)
{
	u64 child = ctx->args[1];
	u8 yes = 1;

	if (newborn.update(&child, &yes))
		count_lost();
	return 0;
}
#endif
