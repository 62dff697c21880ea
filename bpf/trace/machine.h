/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Reads the arguments of a system call on this processor, and whether a 32-bit program makes the call. The kernel's
 * headers are not available, so this file has the offsets in struct pt_regs (arch/x86/include/asm/ptrace.h and
 * arch/arm64/include/asm/ptrace.h). They do not change, because debuggers depend on them.
 */
#ifndef PINGKILLER_TRACE_MACHINE_H
#define PINGKILLER_TRACE_MACHINE_H

#define COMPAT 0x80000000 /* set in the call numbers of 32-bit programs, which have their own call table */

static __always_inline u64 machine_word(const void *regs, u32 place)
{
	u64 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), (const u64 *)regs + place);
	return word;
}

/* The calls that need special treatment. */
enum call_kind {
	CALL_CLONE,
	CALL_FORK,
	CALL_VFORK,
	CALL_CLONE3,
	CALL_EXECVE,
	CALL_EXECVEAT,
	CALL_EXIT,
	CALL_EXIT_GROUP,
	CALL_SIGRETURN,
	CALL_OTHER,
};

#if defined(__x86_64__)

#define REGS_BX 5
#define REGS_CX 11
#define REGS_SI 13
#define REGS_DI 14
#define REGS_CS 17
#define USER32_CS 0x23

/* Decides by the code segment. So a 32-bit call of a 64-bit program (int $0x80) is taken for a 64-bit call. */
static __always_inline bool is_compat(const void *regs)
{
	return (machine_word(regs, REGS_CS) & 0xffff) == USER32_CS;
}

static __always_inline u64 first_argument(const void *regs, bool compat)
{
	return machine_word(regs, compat ? REGS_BX : REGS_DI);
}

static __always_inline u64 second_argument(const void *regs, bool compat)
{
	return machine_word(regs, compat ? REGS_CX : REGS_SI);
}

static __always_inline enum call_kind kind_of(u32 number)
{
	switch (number) {
	case 56:
	case COMPAT | 120:
		return CALL_CLONE;
	case 57:
	case COMPAT | 2:
		return CALL_FORK;
	case 58:
	case COMPAT | 190:
		return CALL_VFORK;
	case 435:
	case COMPAT | 435:
		return CALL_CLONE3;
	case 59:
	case COMPAT | 11:
		return CALL_EXECVE;
	case 322:
	case COMPAT | 358:
		return CALL_EXECVEAT;
	case 60:
	case COMPAT | 1:
		return CALL_EXIT;
	case 231:
	case COMPAT | 252:
		return CALL_EXIT_GROUP;
	case 15:
	case COMPAT | 119:
	case COMPAT | 173:
		return CALL_SIGRETURN;
	default:
		return CALL_OTHER;
	}
}

#elif defined(__aarch64__)

#define REGS_PSTATE 33
#define PSTATE_32BIT 0x10

static __always_inline bool is_compat(const void *regs)
{
	return machine_word(regs, REGS_PSTATE) & PSTATE_32BIT;
}

static __always_inline u64 first_argument(const void *regs, bool compat)
{
	return machine_word(regs, 0);
}

static __always_inline u64 second_argument(const void *regs, bool compat)
{
	return machine_word(regs, 1);
}

static __always_inline enum call_kind kind_of(u32 number)
{
	switch (number) {
	case 220:
	case COMPAT | 120:
		return CALL_CLONE;
	case COMPAT | 2:
		return CALL_FORK;
	case COMPAT | 190:
		return CALL_VFORK;
	case 435:
	case COMPAT | 435:
		return CALL_CLONE3;
	case 221:
	case COMPAT | 11:
		return CALL_EXECVE;
	case 281:
	case COMPAT | 387:
		return CALL_EXECVEAT;
	case 93:
	case COMPAT | 1:
		return CALL_EXIT;
	case 94:
	case COMPAT | 248:
		return CALL_EXIT_GROUP;
	case 139:
	case COMPAT | 119:
	case COMPAT | 173:
		return CALL_SIGRETURN;
	default:
		return CALL_OTHER;
	}
}

#else
#error "the tracers know x86-64 and arm64"
#endif

/* Returns the call number as rows and filters use it, with COMPAT set for a 32-bit program. */
static __always_inline u32 number_of(struct bpf_raw_tracepoint_args *entry)
{
	const void *regs = (const void *)entry->args[0];

	return (u32)entry->args[1] | (is_compat(regs) ? COMPAT : 0);
}

#endif
