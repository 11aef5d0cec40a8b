# SPDX-License-Identifier: Apache-2.0

"""Run a command on a separate kernel, with all files of this machine.

The kernel is User-Mode Linux, an ordinary process that needs no rights. Its
root is that of this machine, read through ``hostfs``; what is written goes
into memory and is forgotten, but for directories that are named. The command
is root there, so that it can mount, and has one network interface, ``lo``.

Also a program: ``python -m local_cloud.machine.uml -- COMMAND``.
"""

import argparse
import collections
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import IO

import psutil

from local_cloud import exceptions
from local_cloud.machine import cloud_state
from local_cloud.machine import programs
from local_cloud.machine import signals

#: An address there beside 127.0.0.1, one that no network has. Some servers and
#: look-ups want one that is not a loopback address.
ADDRESS = '192.0.2.1'
#: A variable of commands in User-Mode Linux. All is slower there, by a factor
#: of five where processes are started.
ENVIRONMENT = 'LOCAL_CLOUD_UML'

_KERNEL = 'linux.uml'
SOFTWARE = programs.Software(
    'User-Mode Linux', ('user-mode-linux', 'kmod', 'iproute2'),
    (_KERNEL, 'modprobe', 'ip', 'setpriv', 'taskset'))
_MODULES = pathlib.Path('/usr/lib/uml/modules')

_BOOT_TIMEOUT = 120
# Seconds that the command has after a request to end.
_GRACE = 90
_TAIL = 8

# A shell's, as process 1. What it prints itself is for the error of a start
# that failed.
_INIT = """\
#!/bin/sh
set -eu
export PATH={path}
mount -t proc proc /proc
# Also after a step that failed; a kernel without this process only panics.
trap 'echo o > /proc/sysrq-trigger; sleep 60' EXIT
modprobe -d {run} overlay
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/new /mnt/work /mnt/root
root=/mnt/root
# Without it root in here would write to the files of the machine.
mount -t overlay overlay $root \\
    -o lowerdir=/,upperdir=/mnt/new,workdir=/mnt/work
mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount -t devtmpfs devtmpfs $root/dev
mkdir -p $root/dev/pts $root/dev/shm
mount -t devpts devpts $root/dev/pts
mount -t tmpfs -o mode=1777 tmpfs $root/dev/shm
# Not /tmp: what is to be run may be there.
mount -t tmpfs -o mode=755 tmpfs $root/run
mkdir -m 1777 $root{tmp}
for directory in {visible}; do
    mkdir -p "$root$directory"
    mount -t hostfs -o "$directory" none "$root$directory"
done
# No server answers a name look-up here, and it would wait for that.
rm -f $root/etc/hosts $root/etc/nsswitch.conf
echo '127.0.0.1 localhost' > $root/etc/hosts
for what in passwd group hosts services protocols rpc netgroup; do
    echo "$what: files"
done > $root/etc/nsswitch.conf
hostname localhost
ip link set lo up
ip address add {address}/32 dev lo
for module in {modules}; do
    modprobe -d {run} "$module"
done
for number in 1 2 3; do
    stty -F /dev/tty$number raw -echo
done
echo booted > /dev/tty3
# "setsid" gives it a process group, which a request to end goes to.
chroot $root setsid /bin/sh {run}/command \\
    < /dev/null > /dev/tty1 2> /dev/tty2 &
command=$!
(while read -r number; do
    # Until then it has no group, or ignores Ctrl-C.
    until [ -e $root{began} ] || ! kill -0 "$command"; do
        sleep 0.1
    done
    kill -"$number" "-$command" || true
done < /dev/tty3) &
status=0
wait $command || status=$?
# Waits until all that was printed is out.
for number in 1 2; do
    stty -F /dev/tty$number raw
done
echo "status $status" > /dev/tty3
stty -F /dev/tty3 raw
sync
"""

# The shell of a background job ignores Ctrl-C, and what it starts would too.
_COMMAND = """\
{exports}
cd {cwd}
exec env --default-signal=INT,QUIT,TERM,HUP \\
    /bin/sh -c ': > {began}; exec "$@"' sh {command}
"""

# Some of its helpers would outlive a kernel that is killed; all of them are
# in a group that it makes. This shell kills the group on SIGTERM, which
# the system sends when the program ends, however it ends.
_KEEPER = ('setpriv', '--pdeathsig', 'TERM', 'sh', '-c',
           "trap 'kill -KILL -$! $!' TERM; \"$@\" & wait", 'uml')

# What the kernel says of a process that it has ended.
_TROUBLE = re.compile('out of memory|oom-kill|segfault|bus error|killed proc',
                      re.I)

# A page of its memory that has no neighbour is a mapping of its own for the
# machine, which has a limit for each process.
_MAPPINGS = pathlib.Path('/proc/sys/vm/max_map_count')
_PAGE = 4096

Sink = Callable[[bytes], object]


def _core() -> int:
    """The core with the fewest processes of other kernels.

    Such a kernel and its processes, which it traces, work in turns, never
    side by side. Each turn on another core wakes that from its sleep. On two
    idle cores the same requests took 2.5 times as long as on one.
    """
    taken: collections.Counter[int] = collections.Counter()
    for process in psutil.process_iter(['name', 'cpu_affinity']):
        if process.info['name'] == _KERNEL:
            taken.update(process.info['cpu_affinity'] or ())
    return min(os.sched_getaffinity(0), key=lambda core: taken[core])


def inside() -> bool:
    """Check whether this process runs there: threads and starts are slow."""
    return bool(os.environ.get(ENVIRONMENT))


def limit(memory: int) -> str:
    """A sentence with the remedy for a limit of mappings, or nothing.

    :param memory: of the kernel, in MiB
    """
    enough = (memory << 20) // _PAGE
    found = int(_MAPPINGS.read_text())
    return '' if found >= enough else (
        f'vm.{_MAPPINGS.name} of this machine is {found}, which a process of '
        f'{(found * _PAGE) >> 20} MiB can reach; before the next run: '
        f'sysctl -w vm.{_MAPPINGS.name}={enough}')


def missing() -> str:
    """A sentence with the remedy for missing packages, or nothing."""
    return SOFTWARE.missing([] if any(_MODULES.glob('*/modules.dep'))
                            else [str(_MODULES)])


def _passes(sink: IO[bytes]) -> Sink:
    def write(data: bytes) -> None:
        sink.write(data)
        sink.flush()
    return write


class _Pumps:
    """Pipes to a process, and threads that read from them."""

    def __init__(self) -> None:
        self._theirs: list[int] = []
        self._threads: list[threading.Thread] = []

    def reader(self, sink: Sink) -> int:
        """A descriptor to write to; a thread passes the data on."""
        ours, theirs = os.pipe()
        self._theirs.append(theirs)
        thread = threading.Thread(target=self._pump, args=(ours, sink),
                                  daemon=True)
        self._threads.append(thread)
        thread.start()
        return theirs

    def writer(self) -> tuple[int, IO[bytes]]:
        """A descriptor to read from, and a stream that writes to it."""
        theirs, ours = os.pipe()
        self._theirs.append(theirs)
        return theirs, os.fdopen(ours, 'wb', buffering=0)

    @staticmethod
    def _pump(number: int, sink: Sink) -> None:
        with os.fdopen(number, 'rb', buffering=0) as stream:
            while data := stream.read(65536):
                # The command goes on without a reader.
                with contextlib.suppress(BrokenPipeError, ValueError):
                    sink(data)

    @property
    def descriptors(self) -> list[int]:
        return self._theirs

    def started(self) -> None:
        """The process has its own copies now."""
        for number in self._theirs:
            os.close(number)
        self._theirs = []

    def drain(self) -> None:
        """Wait for the rest of the output of the ended process."""
        for thread in self._threads:
            thread.join(10)


class _Control:
    """The reports of the first process: it has booted, a status."""

    def __init__(self) -> None:
        self.booted = threading.Event()
        self.status: int | None = None
        self._text = b''

    def __call__(self, data: bytes) -> None:
        self._text += data
        *lines, self._text = self._text.split(b'\n')
        for line in lines:
            word, _, rest = line.decode(errors='replace').partition(' ')
            if word == 'booted':
                self.booted.set()
            elif word == 'status':
                self.status = int(rest)


def run(command: Sequence[str], *, visible: Sequence[str | os.PathLike] = (),
        modules: Sequence[str] = (), timeout: float | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: str | os.PathLike | None = None, memory: int = 2048,
        stdout: Sink | None = None, stderr: Sink | None = None) -> int:
    """Run a command in User-Mode Linux and wait for it.

    :param command: program and arguments, as this machine has them
    :param visible: directories where what is written stays; there must be
        nothing with a lock in them that both sides use
    :param modules: modules of that kernel that are loaded first
    :param timeout: seconds after which it is ended, boot included
    :param environment: of the command; that of this process by default, and
        in any case with a ``TMPDIR`` in memory
    :param cwd: where the command begins, here by default
    :param memory: MiB that it may use, for files too
    :param stdout: gets the output of the command; this program's by default
    :param stderr: the same
    :returns: the exit status, as a shell would give it; also when this
        program was asked to end and the command did so
    :raises MissingPackage: naming the packages
    :raises ServiceFailed: it did not boot, broke down, or the time is over
    """
    programs.require(missing())
    temporary = cloud_state.Temporary('uml')
    try:
        kernel = _Kernel(temporary.root, memory)
        variables = dict(os.environ if environment is None else environment)
        if stdout is not None or not sys.stdout.isatty():
            # The command's is one, wherever its output goes.
            variables['TERM'] = 'dumb'
        kernel.write(command, visible, modules, variables,
                    os.getcwd() if cwd is None else cwd)
        return kernel.run(timeout, stdout or _passes(sys.stdout.buffer),
                         stderr or _passes(sys.stderr.buffer))
    finally:
        with signals.ignored():
            temporary.remove()


class _Kernel:
    """One User-Mode Linux."""

    #: Where temporary files of the command go; a file system in memory
    #: that can be exported, which an overlay cannot.
    TMP = '/run/tmp'
    #: Exists as soon as the command can receive a request to end.
    BEGAN = '/run/began'

    def __init__(self, directory: pathlib.Path, memory: int):
        self.directory = directory
        self.memory = memory
        self._log: collections.deque[bytes] = collections.deque(maxlen=400)

    def write(self, command: Sequence[str],
              visible: Sequence[str | os.PathLike], modules: Sequence[str],
              environment: Mapping[str, str],
              cwd: str | os.PathLike) -> None:
        """Write the programs of the first process and of the command."""
        links = self.directory / 'lib' / 'modules'
        links.mkdir(parents=True)
        for release in _MODULES.iterdir():
            (links / release.name).symlink_to(release)
        init = self.directory / 'init'
        init.write_bytes(os.fsencode(_INIT.format(
            path=programs.SYSTEM_PATH, run=shlex.quote(str(self.directory)),
            tmp=self.TMP, address=ADDRESS, began=self.BEGAN,
            modules=shlex.join(modules),
            visible=shlex.join(os.path.abspath(os.fspath(one))
                               for one in visible))))
        init.chmod(0o700)
        variables = {**environment, 'TMPDIR': self.TMP, ENVIRONMENT: '1'}
        exports = '\n'.join(
            f'export {name}={shlex.quote(value)}'
            for name, value in variables.items()
            if re.fullmatch('[A-Za-z_][A-Za-z_0-9]*', name))
        (self.directory / 'command').write_bytes(os.fsencode(_COMMAND.format(
            exports=exports, began=self.BEGAN, command=shlex.join(command),
            cwd=shlex.quote(os.path.abspath(os.fspath(cwd))))))

    def run(self, timeout: float | None, stdout: Sink, stderr: Sink) -> int:
        """Boot, and wait for the command.

        :returns: its exit status
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pumps, control = _Pumps(), _Control()
        asks, ask = pumps.writer()
        words = [
            f'mem={self.memory}M', 'root=root', 'rootfstype=hostfs',
            'rootflags=/', 'rw', f'init={self.directory}/init', 'panic=-1',
            'quiet',
            f'uml_dir={self.directory}/', 'umid=uml', 'con=null', 'ssl=null',
            f'con0=null,fd:{pumps.reader(self._log.append)}',
            f'con1=null,fd:{pumps.reader(stdout)}',
            f'con2=null,fd:{pumps.reader(stderr)}',
            f'con3=fd:{asks},fd:{pumps.reader(control)}']
        process = subprocess.Popen(
            [*_KEEPER, 'taskset', '--cpu-list', str(_core()),
             str(SOFTWARE.find(_KERNEL)), *words],
            cwd='/', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
            pass_fds=pumps.descriptors,
            env={**os.environ, 'TMPDIR': self._memory_directory()})
        pumps.started()
        with ask:
            try:
                self._wait(process, control, deadline, timeout)
            except (signals.Ended, KeyboardInterrupt) as ended:
                # The command may want to report its results so far.
                number = getattr(ended, 'number', signal.SIGINT)
                with contextlib.suppress(OSError):
                    ask.write(b'%d\n' % number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE)
                self._end(process)
                pumps.drain()
                if control.status is None:
                    raise
            finally:
                self._end(process)
                pumps.drain()
        # The command need not know why one of its processes died.
        for line in self._lines():
            if _TROUBLE.search(line):
                stderr(f'User-Mode Linux: {line}\n'.encode())
                if _MAPPINGS.name in line and (found := limit(self.memory)):
                    stderr(f'{found}\n'.encode())
        if control.status is None:
            raise exceptions.ServiceFailed(
                f'User-Mode Linux ended {self._progress(control)}; the end '
                f'of its log:\n{self._tail()}')
        return control.status

    def _wait(self, process: subprocess.Popen, control: _Control,
              deadline: float | None, timeout: float | None) -> None:
        boot_deadline = time.monotonic() + _BOOT_TIMEOUT
        while process.poll() is None:
            now = time.monotonic()
            if deadline is not None and now > deadline:
                raise exceptions.ServiceFailed(
                    f'the command in User-Mode Linux did not end within '
                    f'{timeout:g} s; it was ended')
            if not control.booted.is_set() and now > boot_deadline:
                raise exceptions.ServiceFailed(
                    f'User-Mode Linux did not boot within {_BOOT_TIMEOUT} '
                    f's; the end of its log:\n{self._tail()}')
            # A kernel that broke down may still wait for its power button.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1 if control.status is None else _GRACE)
                return
            if control.status is not None:
                return

    def _memory_directory(self) -> str:
        """The directory of the file with its memory.

        It is made with its full size and filled when used. The shared
        memory of a container is often too small, and a write then kills.
        """
        shared = pathlib.Path('/dev/shm')  # noqa: S108
        with contextlib.suppress(OSError):
            if (os.access(shared, os.W_OK) and
                    shutil.disk_usage(shared).free > self.memory << 20):
                return str(shared)
        return str(self.directory)

    @staticmethod
    def _end(process: subprocess.Popen) -> None:
        """End it, through its keeper."""
        with signals.ignored():
            process.terminate()
            process.wait()

    @staticmethod
    def _progress(control: _Control) -> str:
        return ('before its command did' if control.booted.is_set() else
                'while it was booting')

    def _lines(self) -> list[str]:
        """The kernel's log without stacks, which only hide the rest."""
        text = b''.join(self._log).decode(errors='replace')
        return [line for line in text.splitlines()
                if not line.startswith(' [<')]

    def _tail(self) -> str:
        return '\n'.join(self._lines()[-_TAIL:]) or '(it is empty)'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    :param argv: the arguments without the program's name
    :returns: the exit status of the command, 3 for an error
    """
    parser = argparse.ArgumentParser(
        prog='python -m local_cloud.machine.uml',
        description='Run a command on a separate kernel (User-Mode '
                    'Linux), as root, with the files of this machine. What '
                    'it writes is forgotten.')
    parser.add_argument('--visible', action='append', default=[],
                        metavar='DIRECTORY',
                        help='where what it writes stays; may be repeated')
    parser.add_argument('--module', action='append', default=[],
                        help='a kernel module to load; may be repeated')
    parser.add_argument('--memory', type=int, default=2048, metavar='MIB',
                        help='default: %(default)s')
    parser.add_argument('--timeout', type=float, metavar='SECONDS')
    parser.add_argument('command', nargs='+', metavar='COMMAND')
    arguments = parser.parse_args(argv)
    try:
        with signals.heard():
            return run(arguments.command, visible=arguments.visible,
                       modules=arguments.module, memory=arguments.memory,
                       timeout=arguments.timeout)
    except exceptions.LocalCloudError as error:
        print(f'error: {error}', file=sys.stderr)
        return 3
    except signals.Ended as ended:
        print(f'ended: {ended}', file=sys.stderr)
        return ended.status


if __name__ == '__main__':
    sys.exit(main())
