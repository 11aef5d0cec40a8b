# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""What the suite created, on disk at once, so that a kill loses nothing."""

from collections.abc import Iterable
import dataclasses
import os
from typing import Any


@dataclasses.dataclass(frozen=True)
class Entry:
    """A resource of the ledger; ``resource_id`` is None while intended."""

    token: str
    kind: str
    name: str | None
    resource_id: str | None
    details: dict[str, Any]
    state: str  # intended, created, gone
    created_at: float


@dataclasses.dataclass(frozen=True)
class Change:
    """A setting that was changed and is to be put back to ``before``."""

    kind: str
    key: str
    before: Any
    after: Any


class Ledger:
    """All that this and other processes created, by one directory."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.fspath(directory)

    def intend(self, kind: str, name: str, **details: Any) -> str:
        """Record a create request before it is sent; returns a token."""
        raise NotImplementedError

    def created(self, token: str, resource_id: str) -> None:
        """Record the id that the create request answered."""
        raise NotImplementedError

    def abandon(self, token: str) -> None:
        """Record that the create request was refused."""
        raise NotImplementedError

    def add(self, kind: str, resource_id: str, name: str | None = None,
            **details: Any) -> str:
        """Record a resource whose id is known already; returns a token."""
        raise NotImplementedError

    def gone(self, kind: str, resource_id: str) -> None:
        """Record that a resource was deleted and seen to be gone."""
        raise NotImplementedError

    def note(self, kind: str, key: str, before: Any, after: Any) -> None:
        """Record that a setting will be changed (before it is)."""
        raise NotImplementedError

    def restored(self, kind: str, key: str) -> None:
        """Record that a setting has its old value again."""
        raise NotImplementedError

    def owns(self, kind: str, resource_id: str) -> bool:
        """Whether the suite created it; stays true when it is gone."""
        raise NotImplementedError

    def require(self, kind: str, ids: Iterable[str]) -> None:
        """:raises NotInLedger: naming each id that is not owned"""
        raise NotImplementedError

    def entries(self, kind: str | None = None,
                include_gone: bool = False) -> list[Entry]:
        """Resources in the order of their creation, of all processes."""
        raise NotImplementedError

    def changes(self, kind: str | None = None) -> list[Change]:
        """Settings that were changed and not put back yet."""
        raise NotImplementedError
