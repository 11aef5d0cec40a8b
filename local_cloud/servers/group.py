# SPDX-License-Identifier: Apache-2.0

"""Daemons that share a directory, of a server for tests."""

from collections.abc import Sequence
import json
import os
import pathlib
import socket
import subprocess
from typing import Any

import psutil

from local_cloud.machine import daemons

_GRACE = 10


class Group:
    """The daemons of one server, and the record of their processes.

    Another program can stop them: the record is in the directory.

    :param directory: its own; made by :meth:`start`
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = pathlib.Path(directory)
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
        raise NotImplementedError

    def stop(self, keep: bool = False) -> None:
        """Stop its daemons, by their pids, and remove its directory.

        :param keep: leave the directory, to start it again
        :raises ServiceFailed: a daemon does not even end after a kill
        """
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

    def _resume(self) -> None:
        for process in self._running():
            process.resume()

    def _spawn(self, name: str, command: Sequence[str],
               log: pathlib.Path) -> None:
        with open(log, 'ab') as out:
            child = subprocess.Popen(
                list(command), cwd=self.directory, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        self._children[name] = child
        self._write({**self._read(), name: daemons.entry_of(child.pid)})

    def _stop_daemons(self) -> None:
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
