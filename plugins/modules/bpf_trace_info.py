#!/usr/bin/python
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bpf_trace_info
short_description: Count what the processes of a host ask of its kernel
version_added: 0.1.0
description:
  - Looks for a while into the system calls of a host, or into the births, execs and ends of its processes, with programs at tracepoints of
    the kernel, and returns what they have counted.
  - Every call is counted, none is sampled. RV(lost) says how many are in no row.
  - Nothing is pinned and nothing is installed. The programs go with the module, whatever becomes of it.
  - It needs neither kernel headers nor tracefs, and has nothing to do with the filters.
options:
  probe:
    description:
      - V(syscalls) counts all system calls by O(by), with O(latency) also how long they take.
      - V(syscall) looks at one, O(name), by process and descriptor - how much it moves, how long it takes, where the descriptor leads.
      - V(processes) tells of processes and threads that are born, become another program, or end, one by one.
    type: str
    choices: [syscalls, syscall, processes]
    default: syscalls
  duration:
    description:
      - How many seconds to look, above 0 and up to 3600.
    type: float
    default: 5
  limit:
    description:
      - Stop when so many events have come, by default 1000. For O(probe=processes) only.
    type: int
  by:
    description:
      - What makes a row of its own, some of V(pid), V(comm) (the name of the command), V(user) and V(syscall), by default
        C([comm, syscall]). For O(probe=syscalls) only.
    type: list
    elements: str
    choices: [pid, comm, user, syscall]
  top:
    description:
      - How many rows to return, V(0) for all, by default 20. Not for O(probe=processes).
    type: int
  latency:
    description:
      - Measure how long calls take, and put the rows in the order of the time that they took together. For O(probe=syscalls) only.
    type: bool
    default: false
  name:
    description:
      - The system call to look at, by its name on the host's processor, by default C(write). For O(probe=syscall) only.
    type: str
  pid:
    description:
      - Look at this process only.
    type: int
  user:
    description:
      - Look at the processes of this user only, given by name or uid.
    type: str
  comm:
    description:
      - Look at processes of this command only, as C(/proc/PID/comm) names it.
    type: str
  unit:
    description:
      - Look at the processes of this systemd unit only, for example V(ssh.service). It needs cgroups of version 2.
    type: str
  cgroup:
    description:
      - Look at the processes of this cgroup and those below it only, given by its path, with or without C(/sys/fs/cgroup).
    type: str
  min_us:
    description:
      - Count only calls that took so many microseconds or more. Implies O(latency). Not for O(probe=processes).
    type: float
  small_bytes:
    description:
      - Calls that returned fewer bytes are summed up apart as C(small), by default 512. For O(probe=syscall) only.
    type: int
  slow_ms:
    description:
      - Calls that took so many milliseconds or more are summed up apart as C(slow), by default 10. For O(probe=syscall) only.
    type: float
  max_overhead:
    description:
      - End early when the programs have taken more than this many percent of the time of all processors.
    type: float
  _sources:
    description:
      - The tracers' C sources by path. Set by the action plugin of this module, never by a user.
    type: dict
attributes:
  check_mode:
    description: Says what it would do, having found out that it may, and runs nothing.
    support: full
  diff_mode:
    description: Shows what changes, before and after.
    support: N/A
    details:
      - Nothing changes.
  platform:
    description: The operating systems of the managed hosts.
    platforms: linux
    support: full
notes:
  - Runs as root on the managed host, which needs Linux 5.10, Python 3.9 and BCC 0.18 or newer, on x86-64 or arm64.
  - The process that looks is left out.
  - A call belongs to who began it, under the name that they had then. It is counted when it returns, if it began while the module looked. What
    has not returned at the end is in RV(unfinished). C(exit) and C(exit_group), which never return, are counted when they are entered.
  - Calls of 32-bit programs have other numbers, and are shown as C(32-bit 4). A call that seccomp refuses does not get as far as being counted.
  - In a container it sees the processes of its own PID namespace only. What others call is counted as RV(outside), also of namespaces within.
author:
  - PingKiller maintainers (@pingkiller)
seealso:
  - module: pingkiller.fleet.xdp_facts
"""

EXAMPLES = r"""
- name: What do the processes of this host ask of its kernel?
  pingkiller.fleet.bpf_trace_info:

- name: Which calls does the SSH server wait for?
  pingkiller.fleet.bpf_trace_info:
    unit: ssh.service
    latency: true
    by: [pid, syscall]
    duration: 10

- name: Who writes in small pieces, and to which files?
  pingkiller.fleet.bpf_trace_info:
    probe: syscall
    name: write
    small_bytes: 4096
  register: writes

- name: Say it
  ansible.builtin.debug:
    msg: "{{ writes.rows | selectattr('small.calls') | map(attribute='target') | unique }}"

- name: What does root start?
  pingkiller.fleet.bpf_trace_info:
    probe: processes
    user: root
    limit: 100
"""

RETURN = r"""
probe:
  description: What was looked at, or would be, as in O(probe).
  returned: success
  type: str
  sample: syscalls
seconds:
  description: How long it looked.
  returned: success, not in check mode
  type: float
  sample: 5.003
stopped:
  description: Why it ended - V(duration), V(limit), V(max_overhead) or V(interrupted).
  returned: success, not in check mode
  type: str
  sample: duration
lost:
  description: How many calls or events are in no row because a table or buffer was full.
  returned: success, not in check mode
  type: int
  sample: 0
unfinished:
  description: How many calls began while it looked and had not returned at the end. They are in no row. Of processes, those that had not run.
  returned: success, not in check mode
  type: int
  sample: 12
outside:
  description: How many calls or events were those of processes that the PID namespace does not know. They are in no row.
  returned: success, not in check mode
  type: int
  sample: 0
cost:
  description: What the programs took - how often they ran (C(runs)), C(ns), and C(percent) of the time of all processors. None if the kernel does not say.
  returned: success, not in check mode
  type: dict
  sample: {runs: 5345, ns: 4674229, percent: 0.046}
name:
  description: The system call.
  returned: success with O(probe=syscall), not in check mode
  type: str
  sample: write
calls:
  description: How many calls there were, in all rows.
  returned: success without O(probe=processes), not in check mode
  type: int
  sample: 2650
errors:
  description: How many of them failed.
  returned: success without O(probe=processes), not in check mode
  type: int
  sample: 71
bytes:
  description: The sum of the lengths that calls returned. None for a call that returns no length.
  returned: success with O(probe=syscall), not in check mode
  type: int
  sample: 4096
histogram:
  description: How many calls took how long, in all rows, also those that are not in RV(rows). Each bucket is twice as long as the one before.
  returned: success if times are measured, not in check mode
  type: list
  elements: dict
  sample:
    - {from_ns: 2048, to_ns: 4095, calls: 2300}
    - {from_ns: 4096, to_ns: 8191, calls: 350}
rows_total:
  description: How many rows there are, of which RV(rows) has O(top).
  returned: success without O(probe=processes), not in check mode
  type: int
  sample: 20
rows:
  description:
    - Those with most calls first; with O(latency), those that took longest together.
    - Each has what is named in O(by), C(calls), and C(errors), which is how many failed by the name of the error. If measured, also C(total_ns),
      C(average_ns), C(p50_ns), C(p90_ns), C(p99_ns) (estimated within a bucket), C(max_ns) and C(histogram).
    - With O(probe=syscall), each has C(pid), C(comm), C(user), C(fd), C(target) (none if the process had gone), C(bytes), C(small) and C(slow).
  returned: success without O(probe=processes), not in check mode
  type: list
  elements: dict
  sample:
    - comm: sshd
      syscall: read
      calls: 349
      errors: {EAGAIN: 2}
      total_ns: 1046528
      average_ns: 2998
      p50_ns: 2895
      p90_ns: 5120
      p99_ns: 8033
      max_ns: 8149
      histogram:
        - {from_ns: 2048, to_ns: 4095, calls: 300}
        - {from_ns: 4096, to_ns: 8191, calls: 49}
events:
  description:
    - What happened, oldest first. Each has C(time) (UTC), C(event) (V(clone), V(fork), V(vfork), V(clone3), V(exec) or V(exit)), C(pid) (of a
      thread, its own), C(user), C(comm) and C(thread) (whether it is a thread and no process).
    - A birth has C(parent), an exec C(path) (as it was given, up to 255 bytes; none if it could not be read), an exit C(status), C(signal) (if that
      was what ended it) and C(lifetime_ns), each none if it is not known.
  returned: success with O(probe=processes), not in check mode
  type: list
  elements: dict
  sample:
    - time: "2026-01-31T12:00:00.123456Z"
      event: exit
      pid: 4711
      user: root
      comm: sleep
      thread: false
      status: 0
      signal: null
      lifetime_ns: 1000913127
counts:
  description: How many events of each kind there were, by C(user) and C(comm).
  returned: success with O(probe=processes), not in check mode
  type: list
  elements: dict
  sample:
    - {user: root, comm: sleep, clone: 1, fork: 0, vfork: 0, clone3: 0, exec: 1, exit: 1}
total:
  description: How many events of each kind there were.
  returned: success with O(probe=processes), not in check mode
  type: dict
  sample: {clone: 1, fork: 0, vfork: 0, clone3: 0, exec: 1, exit: 1}
msg:
  description: What it would do.
  returned: success in check mode
  type: str
  sample: would look at syscalls for 5 s, with programs at the tracepoints sched_process_exit, sys_exit and sys_enter
"""

from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import (
    Module,
    finish,
    move_to_interpreter_with_bcc,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import trace


def look(given, sources, check_mode):
    request = trace.Request.checked(**given)
    found = trace.plan(request) if check_mode else trace.run(request, sources)
    return {"changed": False, **found}


def main():
    module = Module(
        argument_spec={
            "probe": {"type": "str", "choices": ["syscalls", "syscall", "processes"], "default": "syscalls"},
            "duration": {"type": "float", "default": 5},
            "limit": {"type": "int"},
            "by": {"type": "list", "elements": "str", "choices": ["pid", "comm", "user", "syscall"]},
            "top": {"type": "int"},
            "latency": {"type": "bool", "default": False},
            "name": {"type": "str"},
            "pid": {"type": "int"},
            "user": {"type": "str"},
            "comm": {"type": "str"},
            "unit": {"type": "str"},
            "cgroup": {"type": "str"},
            "min_us": {"type": "float"},
            "small_bytes": {"type": "int"},
            "slow_ms": {"type": "float"},
            "max_overhead": {"type": "float"},
            "_sources": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    sources = module.params.pop("_sources")  # or it would be sent back with the result
    if not sources:
        module.fail_json(
            msg="the tracers' C sources did not come along: call the module by its full name, pingkiller.fleet.bpf_trace_info, "
            "or let action_plugins in ansible.cfg name the collection's plugins/action"
        )
    move_to_interpreter_with_bcc()
    finish(module, look, module.params, sources, module.check_mode)


if __name__ == "__main__":
    main()
