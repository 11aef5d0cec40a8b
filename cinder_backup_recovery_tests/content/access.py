# SPDX-License-Identifier: Apache-2.0

"""Interface to write and read the content of a volume."""

import abc
from collections.abc import Iterable
import contextlib
from typing import Any
from typing import BinaryIO

from cinder_backup_recovery_tests.cloud import resources as test_resources
from cinder_backup_recovery_tests.content import layout as content_layout

GIB = 1024 ** 3


class VolumeContent(abc.ABC):
    """Access to the bytes of volumes, in the way that is configured."""

    def __init__(self, resources: test_resources.Resources) -> None:
        self.resources = resources

    @abc.abstractmethod
    def create_volume(self, layout: content_layout.Layout,
                      **kwargs: Any) -> str:
        """Create a volume that holds a layout and else zeros.

        :param layout: its content; its size must be whole GiB
        """

    @abc.abstractmethod
    def rewrite(self, volume_id: str, layout: content_layout.Layout,
                since: int = 0) -> None:
        """Change the content of a volume to a newer generation.

        :param volume_id: the volume, which holds generation ``since``
        :param since: the generation above which extents are written
        """

    @abc.abstractmethod
    def read(self, volume_id: str
             ) -> contextlib.AbstractContextManager[
                 BinaryIO | Iterable[bytes]]:
        """Read the whole volume from its start, as a stream."""


def gigabytes(layout: content_layout.Layout) -> int:
    """Return the size in GiB of a volume that a layout fills.

    :raises ValueError: if no volume has that size
    """
    size, rest = divmod(layout.size_bytes, GIB)
    if rest or not size:
        raise ValueError(f'volume size {layout.size_bytes} is not a whole '
                         f'number of GiB')
    return size


def written_end(layout: content_layout.Layout) -> int:
    """Return the offset past the last byte that was written, zeros too."""
    return max((extent.offset + extent.length for extent in layout.extents),
               default=0)
