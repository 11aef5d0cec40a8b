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
"""Decode, check and encode exported backup records (level L0)."""

from collections.abc import Mapping
import dataclasses
from typing import Any

DROP: Any = object()
"""Value for :meth:`BackupRecord.edited` that takes a field out."""


def decode(backup_url: str) -> dict[str, Any]:
    """Decode an exported ``backup_url``.

    :raises InvalidRecord: saying what is wrong and where
    """
    raise NotImplementedError


def encode(fields: Mapping[str, Any]) -> str:
    """Encode fields the way Cinder does."""
    raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class BackupRecord:
    """What ``export_record`` returns."""

    backup_service: str
    backup_url: str

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> 'BackupRecord':
        """Take the ``backup-record`` of an answer (with or without it)."""
        raise NotImplementedError

    def to_api(self) -> dict[str, Any]:
        """``backup_service`` and ``backup_url`` as keyword arguments."""
        raise NotImplementedError

    @property
    def fields(self) -> dict[str, Any]:
        """The decoded fields, a new dict each time."""
        raise NotImplementedError

    def edited(self, **changes: Any) -> 'BackupRecord':
        """A copy with other values, ``DROP`` takes a field out."""
        raise NotImplementedError


def check(record: BackupRecord) -> list[str]:
    """Everything that is wrong with a record; empty when nothing is."""
    raise NotImplementedError
