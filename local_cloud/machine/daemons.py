# SPDX-License-Identifier: Apache-2.0

"""Processes of a cloud: started, found again, and stopped, by pid."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import os
import pathlib
import subprocess
import time
from typing import Any

import psutil

from local_cloud import exceptions
from local_cloud import sites
from local_cloud.machine import cloud_state

_TAIL_LINES = 15


def environment(state: cloud_state.State) -> dict[str, str]:
    """The environment of every process of this cloud.

    Variables that would point a service or a client to another cloud do
    not pass.
    """
    result = {name: value for name, value in os.environ.items()
              if not name.startswith(('OS_', 'LISTEN_'))}
    result[cloud_state.PROCESS_MARK] = state.cloud_id
    result[cloud_state.ENVIRONMENT] = str(state.root)
    result['TMPDIR'] = str(state.tmp)
    # stevedore keeps the entry points of a virtualenv there.
    result['XDG_CACHE_HOME'] = str(state.tmp)
    result['PYTHONWARNINGS'] = 'ignore'
    # glibc gives every thread an arena of its own, which costs more memory
    # than a cloud of this size gains by it.
    result['MALLOC_ARENA_MAX'] = '2'
    return result


def spawn(state: cloud_state.State, name: str, command: Sequence[str],
          extra_environment: Mapping[str, str] | None = None,
          pass_fds: Sequence[int] = ()) -> subprocess.Popen:
    """Start one process of the cloud, detached from the terminal.

    :param name: the service's name: its log and its entry in the record
    :param extra_environment: variables beside those that all get
    :param pass_fds: descriptors that the process inherits
    """
    variables = environment(state)
    variables.update(extra_environment or {})
    with open(state.log(name), 'ab') as log:
        process = subprocess.Popen(
            list(command), cwd=state.root, env=variables,
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            pass_fds=pass_fds, start_new_session=True)
    state.record['processes'][name] = entry_of(process.pid)
    state.save()
    return process


def entry_of(pid: int) -> dict[str, Any]:
    """The entry of a process in a record, by which it is found again.

    A pid is not enough: after a reboot another program may have it.
    """
    return {'pid': pid, 'started': _started(pid), 'boot': _boot()}


def _started(pid: int) -> int | None:
    """When a process was started, in ticks since the boot.

    The time of day, which psutil gives, is another one for each process as
    soon as the clock of the machine is set.
    """
    try:
        text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # After the name, which may have anything in it.
    return int(text.rpartition(')')[2].split()[19])


def _boot() -> str:
    return pathlib.Path('/proc/sys/kernel/random/boot_id').read_text().strip()


def recorded(entry: Mapping[str, Any] | None) -> psutil.Process | None:
    """The running process of an entry, or None.

    One whose first thread is a zombie still has its ports and its locks as
    long as another thread of it has not ended.
    """
    if not entry:
        return None
    try:
        process = psutil.Process(entry['pid'])
        if ((_started(process.pid), _boot()) ==
                (entry['started'], entry.get('boot')) and
                (process.status() != psutil.STATUS_ZOMBIE or
                 process.num_threads() > 1)):
            return process
    except psutil.NoSuchProcess:
        pass
    return None


def alive(state: cloud_state.State, name: str) -> psutil.Process | None:
    """The running process of a service, or None."""
    return recorded(state.record['processes'].get(name))


def all_of(state: cloud_state.State) -> list[psutil.Process]:
    """Every process that carries this cloud's mark, children included.

    Also those that name its directory, where the record with its id is
    broken or gone. The calling program may carry the mark too (``run``
    gives it to its command); it and its ancestors are left out.
    """
    own = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    return [process for process, cloud_id, directory in marked()
            if process.pid not in own and
            (cloud_id == state.record.get('id') or
             directory == str(state.root))]


def has_open(process: psutil.Process, path: pathlib.Path) -> bool:
    """Check whether a process has a file open."""
    with contextlib.suppress(psutil.Error, OSError):
        return any(file.path == str(path) for file in process.open_files())
    return False


def marked() -> Iterator[tuple[psutil.Process, str, str]]:
    """Every process of any local cloud, with its id and directory."""
    for process in psutil.process_iter():
        try:
            variables = process.environ()
            if (cloud_state.PROCESS_MARK in variables and
                    process.status() != psutil.STATUS_ZOMBIE):
                yield (process, variables[cloud_state.PROCESS_MARK],
                       variables.get(cloud_state.ENVIRONMENT, ''))
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue


def suspend(process: psutil.Process, timeout: float = 10) -> None:
    """Suspend a process, and wait until none of its threads runs.

    The signal takes effect a bit later: a thread that has a core goes on, and
    answers one more request.
    """
    process.suspend()
    deadline = time.monotonic() + timeout
    while not all(state in 'TtXZ' for state in _states(process.pid)):
        if time.monotonic() > deadline:
            raise exceptions.ServiceFailed(
                f'process {process.pid} does not stop; it may wait for a '
                f'disk or a network file system')
        time.sleep(0.01)


def _states(pid: int) -> Iterator[str]:
    """The state of each thread of a process, a letter: see proc(5)."""
    for path in pathlib.Path(f'/proc/{pid}/task').glob('*/stat'):
        # A thread that has ended since then has none.
        with contextlib.suppress(OSError):
            yield path.read_text().rpartition(')')[2].split()[0]


def stop(processes: Sequence[psutil.Process], grace: float = 3.0) -> int:
    """Terminate processes, and kill those that do not end in time.

    :param grace: seconds between both
    :returns: how many had to be killed
    """
    for process in processes:
        _signal(process.terminate)
        # One that is suspended takes no request before it goes on.
        _signal(process.resume)
    left = _wait(processes, grace)
    for process in left:
        _signal(process.kill)
    immortal = _wait(left, 10)
    if immortal:
        raise exceptions.ServiceFailed(
            f'process {immortal[0].pid} does not end after a kill; it may '
            f'wait for a disk or a network file system')
    return len(left)


def _wait(processes: Sequence[psutil.Process], timeout: float
          ) -> list[psutil.Process]:
    """Wait for the end of processes; returns those that go on.

    psutil's own wait needs a poll() since 7.2, which eventlet takes away.
    """
    deadline = time.monotonic() + timeout
    left = [process for process in processes if _runs(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.01)
        left = [process for process in left if _runs(process)]
    return left


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(ChildProcessError):
        # A child stays a zombie until its parent asks for its status.
        os.waitpid(process.pid, os.WNOHANG)
    try:
        return process.is_running() and (
            process.status() != psutil.STATUS_ZOMBIE or
            process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def _signal(send) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        send()


def stop_all(state: cloud_state.State) -> int:
    """Stop every process of the cloud, in rounds; returns their number."""
    stopped = _stop_client(state)
    for _ in range(5):
        processes = all_of(state)
        if not processes:
            return stopped
        stop(processes)
        stopped += len(processes)
    raise exceptions.ServiceFailed(
        f'processes of the cloud in {state.root} keep appearing; the last '
        f'is {processes[0].pid}')


def _stop_client(state: cloud_state.State) -> int:
    """Stop each Cinder before its servers; returns their number.

    The kernel writes what is left before it releases a mount, and waits
    indefinitely for a server that is gone. A server of databases waits for
    its clients, and clients log much about a broker that is gone.
    """
    names = {*state.record.get('processes', {})}
    if not names & {'nfs', 'database', 'rabbitmq'}:
        return 0
    processes = []
    for name in names:
        process = alive(state, name)
        if name.startswith(sites.FIRST.name) and process is not None:
            processes += [process, *process.children(recursive=True)]
    stop(processes)
    return len(processes)


def tail(state: cloud_state.State, name: str) -> str:
    """The last lines of a service's log."""
    return tail_of(state.log(name))


def tail_of(path: pathlib.Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log."""
    try:
        with open(path, 'rb') as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 64 * 1024))
            text = log.read().decode(errors='replace')
    except FileNotFoundError:
        return '(no log was written)'
    return '\n'.join(text.splitlines()[-lines:]) or '(the log is empty)'


def wait_until(state: cloud_state.State, name: str, ready,
               timeout: float, interval: float = 0.03) -> None:
    """Wait for a service, and name it when it dies or never answers.

    :param ready: called again and again; true when the service is ready,
        or a text about what is still missing
    :param timeout: seconds
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = ready()
        if answer is True:
            return
        if alive(state, name) is None:
            raise exceptions.ServiceFailed(
                f'{name} ended while it was starting; the end of its log '
                f'({state.log(name)}):\n{tail(state, name)}')
        if time.monotonic() > deadline:
            missing = f' ({answer})' if isinstance(answer, str) else ''
            raise exceptions.ServiceFailed(
                f'{name} did not become ready within {timeout:.0f} s'
                f'{missing}; the end of its log ({state.log(name)}):\n'
                f'{tail(state, name)}')
        time.sleep(interval)


def proportional_memory(state: cloud_state.State) -> dict[int, int]:
    """Bytes of each process, shared pages divided among their users."""
    sizes = {}
    for process in all_of(state):
        try:
            sizes[process.pid] = process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return sizes
