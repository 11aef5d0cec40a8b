# SPDX-License-Identifier: Apache-2.0
"""A directory that can be made to hang, which no real one here can."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import threading
from typing import Any
from unittest import mock

from backup_stores import filesystem

#: The functions that the driver uses on a directory.
_CALLS = ('listdir', 'open', 'scandir', 'stat')


class HangingDirectory(filesystem.FilesystemStore):
    """The directory of the default driver."""

    @contextlib.contextmanager
    def paused(self, conf: Any) -> Iterator[None]:
        answered = threading.Event()

        def hanging(call: Callable[..., Any]) -> Callable[..., Any]:
            def wait(path: Any, *args: Any, **kwargs: Any) -> Any:
                if isinstance(path, str) and path.startswith(self.root):
                    answered.wait()
                return call(path, *args, **kwargs)
            return wait

        with contextlib.ExitStack() as patches:
            for name in _CALLS:
                patches.enter_context(mock.patch.object(
                    os, name, hanging(getattr(os, name))))
            # First of all at the end.
            patches.callback(answered.set)
            yield
