# SPDX-License-Identifier: Apache-2.0

"""The journal of a plan, on disk before what a kill must not hide.

Which backups are there is asked of the cloud. The journal has what the cloud
does not know: the quotas from before they were raised, secrets that imports
may leave over, the volumes that backups are restored to, and, for people, when
what was done.
"""

from collections import defaultdict
import contextlib
import json
import pathlib
import threading
from types import TracebackType
from typing import Any

from backup_recovery import files

RAISED, RESTORED = 'raised', 'restored'
STORED, SETTLED = 'stored', 'settled'


class Journal:
    """The journal of a plan, which one process at a time can have.

    :param path: the file; made where there is none
    :ivar path: of the file
    :ivar raised: the limits from before they were raised, by the project, of
        which they were not restored
    :ivar stored: ids of the secrets that were made for imports, by the
        backup, of which it is not known yet whether they are needed
    :ivar entries: of all other events, as they were written
    :raises BadFile: another process has it, or it cannot be written
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.raised: dict[str, dict[str, int]] = {}
        self.stored: dict[str, list[str]] = defaultdict(list)
        self.entries: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> 'Journal':
        self._open = contextlib.ExitStack()
        self._stream = self._open.enter_context(files.locked(self.path))
        with files.reading(self.path) as stream:
            content = stream.read()
        for line in content.splitlines():
            # A kill may have cut a line off.
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry['event'] == RAISED:
                    self._add(entry['project'], entry['limits'])
                elif entry['event'] == RESTORED:
                    self.raised.pop(entry['project'], None)
                elif entry['event'] == STORED:
                    self.stored[entry['backup']].append(entry['secret'])
                elif entry['event'] == SETTLED:
                    self.stored[entry['backup']].remove(entry['secret'])
                else:
                    self.entries.append(entry)
        if content and not content.endswith(b'\n'):
            self._stream.write(b'\n')
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._open.close()

    def write(self, event: str, **facts: Any) -> None:
        """Write an entry, which is there after a kill of the process."""
        with self._lock:
            self._stream.write(files.line({'event': event, 'at': files.now(),
                                           **facts}))
            self._stream.flush()

    def keep(self, event: str, **facts: Any) -> None:
        """Write an entry, which is there after a crash of the machine."""
        self.write(event, **facts)
        files.sync(self._stream)

    def _add(self, project: str, limits: dict[str, int]) -> None:
        # The first ones count.
        self.raised[project] = {**limits, **self.raised.get(project, {})}

    def raise_(self, project: str, limits: dict[str, int]) -> None:
        """Remember limits before they are raised; the first ones count."""
        if limits.keys() - self.raised.get(project, {}).keys():
            self.keep(RAISED, project=project, limits=limits)
            self._add(project, limits)

    def restore(self, project: str) -> None:
        """The limits of a project are restored."""
        self.write(RESTORED, project=project)
        del self.raised[project]

    def store(self, backup: str, secret: str) -> None:
        """Remember a secret before it has a key."""
        self.keep(STORED, backup=backup, secret=secret)
        self.stored[backup].append(secret)

    def settle(self, backup: str, secret: str) -> None:
        """A secret is deleted, or is the key of the backup's row."""
        self.write(SETTLED, backup=backup, secret=secret)
        self.stored[backup].remove(secret)
