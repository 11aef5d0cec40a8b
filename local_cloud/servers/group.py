# SPDX-License-Identifier: Apache-2.0

"""Daemons that share a directory, of a server for tests."""

from collections.abc import Sequence
import json
import os
import pathlib
import shutil
import socket
import subprocess
from typing import Any

import psutil

from local_cloud.machine import daemons
from local_cloud.machine import loopback
from local_cloud.machine import programs

_GRACE = 10


class Group:
    """The daemons of one server, and the record of their processes.

    Another program can stop them: the record is in the directory.

    :param directory: its own; made by :meth:`start`
    :param conf: the name of its configuration in there
    :param port: 0 for one that is free
    """

    def __init__(self, directory: str | os.PathLike, conf: str,
                 port: int = 0):
        self.directory = pathlib.Path(directory)
        self.conf = self.directory / conf
        self.port = port
        self._record = self.directory / 'processes.json'
        self._children: dict[str, subprocess.Popen] = {}
        # Holds the port, also while the server is stopped.
        self._kept: socket.socket | None = None

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, *args: Any) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, a new one or the one that was stopped, on its port.

        :raises MissingPackage: naming the packages
        :raises ServiceFailed: with the end of its log
        """
        programs.require(self._missing())
        new = not self.conf.exists()
        # A killed daemon keeps its port and its files until its last thread
        # has ended, which takes a while on a busy machine.
        self._stop_daemons()
        try:
            if new and not self.port:
                self._kept = loopback.reserve()
                self.port = self._kept.getsockname()[1]
            self._start(new)
            self._wait_until_ready()
        except BaseException:
            self.stop(keep=not new)
            raise

    def stop(self, keep: bool = False) -> None:
        """Stop its daemons, by their pids, and remove its directory.

        :param keep: leave the directory, to start it again
        :raises ServiceFailed: a daemon does not even end after a kill
        """
        self._stop_daemons()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)
            if self._kept is not None:
                self._kept.close()
                self._kept, self.port = None, 0

    def _missing(self) -> str:
        """A sentence about missing packages; empty if there are none."""
        raise NotImplementedError

    def _start(self, new: bool) -> None:
        """Start its daemons, after making its files if it is new."""
        raise NotImplementedError

    def _wait_until_ready(self) -> None:
        raise NotImplementedError

    def process(self, name: str) -> psutil.Process | None:
        """A running daemon, or None; also one of another program."""
        return daemons.recorded(self._read().get(name))

    def pause(self) -> None:
        """Make it hang: it keeps its ports open and answers nothing."""
        for process in self._running():
            daemons.suspend(process)

    def _running(self) -> list[psutil.Process]:
        """Its daemons, the last one that was started first."""
        return [process for name in reversed(self._read())
                if (process := self.process(name))]

    def resume(self) -> None:
        """Undo :meth:`pause` and wait until it answers again."""
        for process in self._running():
            process.resume()
        self._wait_until_ready()

    def _spawn(self, name: str, command: Sequence[str],
               log: pathlib.Path) -> None:
        with open(log, 'ab') as out:
            child = subprocess.Popen(
                list(command), cwd=self.directory, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        self._children[name] = child
        self._write({**self._read(), name: daemons.entry_of(child.pid)})

    def _stop_daemons(self) -> None:
        # The last one first: an OSD tells its monitor.
        for process in self._running():
            daemons.stop([process], _GRACE)
        for child in self._children.values():
            child.wait()
        self._children = {}
        self._write({})

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(self._record.read_text())
        except FileNotFoundError:
            return {}

    def _write(self, record: dict[str, Any]) -> None:
        if self.directory.exists():
            # A kill leaves the old or the new one, not half of it.
            new = self._record.with_suffix('.new')
            new.write_text(json.dumps(record))
            os.replace(new, self._record)
