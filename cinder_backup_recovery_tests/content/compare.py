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
"""Compare a stream with a layout and say what is different."""

from collections.abc import Iterable
import dataclasses
from typing import BinaryIO

from cinder_backup_recovery_tests.content import layout


@dataclasses.dataclass(frozen=True)
class Difference:
    """A run of bytes that differ for the same reason."""

    offset: int
    length: int
    kind: str
    detail: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The outcome; counts and totals are by kind."""

    checked: int
    differences: tuple[Difference, ...]
    counts: dict[str, int]
    totals: dict[str, int]

    @property
    def ok(self) -> bool:
        """Whether every byte is as expected and none is missing."""
        raise NotImplementedError

    def raise_if_different(self, what: str) -> None:
        """:raises ContentMismatch: naming ``what``, up to ten lines"""
        raise NotImplementedError


def compare(expected: layout.Layout, stream: BinaryIO | Iterable[bytes],
            history: Iterable[layout.Layout] = (),
            block_size: int = 1024 * 1024, keep: int = 100) -> Comparison:
    """Compare a whole stream with what a volume must hold."""
    raise NotImplementedError
