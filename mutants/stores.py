# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
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
