#!/usr/bin/python
# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bpf_trace_info
short_description: Count the system calls of a host's processes, or list their starts and ends
version_added: 0.1.0
description:
  - Attaches programs to tracepoints of the kernel for O(duration) seconds. The programs count system calls, or record when processes start, execute a
    program and end. The module returns the results.
  - Every call is counted. Nothing is sampled. RV(lost) says how many calls are in no row.
  - Nothing is pinned and nothing is installed. The kernel removes the programs when the module ends, even if the module is killed.
  - The module needs neither kernel headers nor tracefs. It has nothing to do with the filters.
options:
  probe:
    description:
      - V(syscalls) counts all system calls, grouped by O(by). With O(latency) it also measures how long they take.
      - V(syscall) traces one system call, O(name), by process and descriptor. It reports how many bytes the calls move, how long they take, and where the
        descriptor leads.
      - V(processes) lists each process and thread that starts, executes another program, or ends.
    type: str
    choices: [syscalls, syscall, processes]
    default: syscalls
  duration:
    description:
      - How many seconds to trace, above 0 and up to 3600.
    type: float
    default: 5
  limit:
    description:
      - Stop after this many events. The default is 1000. Only for O(probe=processes).
    type: int
  by:
    description:
      - The keys that calls are grouped by. There is one row for each combination of their values. V(comm) is the name of the command. The default is
        C([comm, syscall]). Only for O(probe=syscalls).
    type: list
    elements: str
    choices: [pid, comm, user, syscall]
  top:
    description:
      - How many rows to return. V(0) returns all rows. The default is 20. Not for O(probe=processes).
    type: int
  latency:
    description:
      - Measure how long calls take, and sort the rows by the total time of their calls. Only for O(probe=syscalls).
    type: bool
    default: false
  name:
    description:
      - The system call to trace, by its name on the host's processor. The default is C(write). Only for O(probe=syscall).
    type: str
  pid:
    description:
      - Trace only this process.
    type: int
  user:
    description:
      - Trace only the processes of this user, given by name or uid.
    type: str
  comm:
    description:
      - Trace only the processes of this command, as C(/proc/PID/comm) names it.
    type: str
  unit:
    description:
      - Trace only the processes of this systemd unit, for example V(ssh.service). This needs cgroups of version 2.
    type: str
  cgroup:
    description:
      - Trace only the processes of this cgroup and of the cgroups below it. Give its path, with or without C(/sys/fs/cgroup).
    type: str
  min_us:
    description:
      - Count only calls that took at least this many microseconds. Implies O(latency). Not for O(probe=processes).
    type: float
  small_bytes:
    description:
      - Calls that returned fewer bytes than this are also summed up separately as C(small). The default is 512. Only for O(probe=syscall).
    type: int
  slow_ms:
    description:
      - Calls that took at least this many milliseconds are also summed up separately as C(slow). The default is 10. Only for O(probe=syscall).
    type: float
  max_overhead:
    description:
      - Stop early if the programs have used more than this percentage of the time of all processors.
    type: float
  _sources:
    description:
      - The tracers' C sources by path. Set by the action plugin of this module, never by a user.
    type: dict
attributes:
  check_mode:
    description: The module checks that it may trace, says what it would do, and runs nothing.
    support: full
  diff_mode:
    description: Shows the state before and after a change.
    support: N/A
    details:
      - Nothing changes.
  platform:
    description: The operating systems of the managed hosts.
    platforms: linux
    support: full
notes:
  - Runs as root on the managed host, which needs Linux 5.10, Python 3.9 and BCC 0.18 or newer, on x86-64 or arm64.
  - The tracing process itself is left out.
  - A call belongs to the process that began it, under the name that the process had then. The call is counted when it returns, if it began while the
    module traced. Calls that have not returned at the end are in RV(unfinished). C(exit) and C(exit_group) never return, so they are counted when
    they are entered.
  - Calls of 32-bit programs have other numbers, and are shown as C(32-bit 4). A call that seccomp refuses is not counted.
  - In a container the module sees only the processes of its own PID namespace. Calls of other processes are counted in RV(outside), even if they
    are in a nested PID namespace.
author:
  - PingKiller maintainers (@pingkiller)
seealso:
  - module: pingkiller.fleet.xdp_facts
"""

EXAMPLES = r"""
- name: Count the system calls of all processes of this host
  pingkiller.fleet.bpf_trace_info:

- name: Find out which calls the SSH server waits for
  pingkiller.fleet.bpf_trace_info:
    unit: ssh.service
    latency: true
    by: [pid, syscall]
    duration: 10

- name: Find out which processes write in small pieces, and to which files
  pingkiller.fleet.bpf_trace_info:
    probe: syscall
    name: write
    small_bytes: 4096
  register: writes

- name: Show where they write
  ansible.builtin.debug:
    msg: "{{ writes.rows | selectattr('small.calls') | map(attribute='target') | unique }}"

- name: List the processes that root starts
  pingkiller.fleet.bpf_trace_info:
    probe: processes
    user: root
    limit: 100
"""

RETURN = r"""
probe:
  description: The probe that ran, or that would run in check mode, as in O(probe).
  returned: success
  type: str
  sample: syscalls
seconds:
  description: How many seconds the module traced.
  returned: success, not in check mode
  type: float
  sample: 5.003
stopped:
  description: Why the tracing ended - V(duration), V(limit), V(max_overhead) or V(interrupted).
  returned: success, not in check mode
  type: str
  sample: duration
lost:
  description: How many calls or events are in no row because a table or buffer was full.
  returned: success, not in check mode
  type: int
  sample: 0
unfinished:
  description:
    - How many calls began while the module traced and had not returned at the end. They are in no row.
    - With O(probe=processes), how many new processes and threads had not run yet at the end.
  returned: success, not in check mode
  type: int
  sample: 12
outside:
  description: How many calls or events came from processes that are not in the PID namespace of the module. They are in no row.
  returned: success, not in check mode
  type: int
  sample: 0
cost:
  description:
    - The cost of the programs. C(runs) is how often they ran, C(ns) is the time that they took, and C(percent) is their part of the time of all processors.
    - Null if the kernel does not measure it.
  returned: success, not in check mode
  type: dict
  sample: {runs: 5345, ns: 4674229, percent: 0.046}
name:
  description: The system call.
  returned: success with O(probe=syscall), not in check mode
  type: str
  sample: write
calls:
  description: The number of calls in all rows.
  returned: success without O(probe=processes), not in check mode
  type: int
  sample: 2650
errors:
  description: How many of these calls failed.
  returned: success without O(probe=processes), not in check mode
  type: int
  sample: 71
bytes:
  description: The sum of the lengths that calls returned. Null for a call that returns no length.
  returned: success with O(probe=syscall), not in check mode
  type: int
  sample: 4096
histogram:
  description: The number of calls by duration, over all rows, including those that are not in RV(rows). Each bucket is twice as long as the one before.
  returned: success if times are measured, not in check mode
  type: list
  elements: dict
  sample:
    - {from_ns: 2048, to_ns: 4095, calls: 2300}
    - {from_ns: 4096, to_ns: 8191, calls: 350}
rows_total:
  description: The number of all rows. RV(rows) has the first O(top) of them.
  returned: success without O(probe=processes), not in check mode
  type: int
  sample: 20
rows:
  description:
    - The rows with the most calls come first. With O(latency), the rows with the longest total time come first.
    - Each row has the keys named in O(by), C(calls), and C(errors), the number of failed calls by the name of the error. If times are measured, each row
      also has C(total_ns), C(average_ns), C(p50_ns), C(p90_ns), C(p99_ns), C(max_ns) and C(histogram). The percentiles are estimated within a bucket.
    - With O(probe=syscall), each row has C(pid), C(comm), C(user), C(fd), C(target), C(bytes), C(small) and C(slow). C(target) is where the descriptor
      leads. It is null if the process had ended.
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
    - The events, oldest first. Each has C(time) (UTC), C(event) (V(clone), V(fork), V(vfork), V(clone3), V(exec) or V(exit)), C(pid), C(user), C(comm)
      and C(thread). C(thread) says whether the event is about a thread and not about a process. For a thread, C(pid) is the id of the thread.
    - A V(clone), V(fork), V(vfork) or V(clone3) event also has C(parent).
    - An exec event also has C(path), as the program gave it, up to 255 bytes. It is null if it could not be read.
    - An exit event also has C(status), C(signal) and C(lifetime_ns). C(signal) is the signal that ended the process, if a signal ended it. Each of
      these is null if it is not known.
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
  description: What the module would do.
  returned: success in check mode
  type: str
  sample: would look at syscalls for 5 s, with programs at the tracepoints sched_process_exit, sys_exit and sys_enter
"""

from ansible_collections.pingkiller.fleet.plugins.module_utils._interpreter import move_to_interpreter_with_bcc
from ansible_collections.pingkiller.fleet.plugins.module_utils._modules import Module, finish
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import trace


def look(given, sources, *, check_mode):
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
    sources = module.params.pop("_sources")  # Ansible sends all parameters back with the result
    if not sources:
        module.fail_json(
            msg="the tracers' C sources are missing: call the module by its full name, pingkiller.fleet.bpf_trace_info, "
            "or let action_plugins in ansible.cfg name the collection's plugins/action"
        )
    move_to_interpreter_with_bcc()
    finish(module, look, module.params, sources, check_mode=module.check_mode)


if __name__ == "__main__":
    main()
