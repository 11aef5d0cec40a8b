# SPDX-License-Identifier: Apache-2.0

"""Histories as data: steps with names for what they make."""

from collections.abc import Iterable
import dataclasses
import json
import pathlib
from typing import Any

#: Of a file with a history.
VERSION = 1

#: Who sends requests: an ordinary member and an administrator of each of two
#: projects. Exports and imports are for administrators.
ACTORS = ('member-1', 'admin-1', 'member-2', 'admin-2')


def project_of(actor: str) -> str:
    """The name of an actor's project."""
    return f'project-{actor[-1]}'


def is_admin(actor: str) -> bool:
    """Tell if an actor is an administrator."""
    return actor.startswith('admin')


class HistoryError(ValueError):
    """A file has no history."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One step.

    :ivar operation: its name in :mod:`.operations`
    :ivar actor: who sends the request, '' where there is none
    :ivar arguments: by name; volumes, snapshots, backups and records go by
        the names that their steps gave them (``v1``, ``s1``, ``b1``, ``r1``)
    """

    operation: str
    actor: str = ''
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        """For JSON."""
        return {'operation': self.operation,
                **({'actor': self.actor} if self.actor else {}),
                **self.arguments}

    @classmethod
    def of_data(cls, data: Any) -> 'Step':
        """The reverse of :meth:`to_data`.

        :raises HistoryError: it is something else
        """
        if not isinstance(data, dict) or not isinstance(
                data.get('operation'), str):
            raise HistoryError(f'{data!r} is no step')
        rest = dict(data)
        return cls(rest.pop('operation'), rest.pop('actor', ''), rest)


def write(path: pathlib.Path, steps: Iterable[Step],
          **facts: Any) -> None:
    """Write a history into a file.

    :param facts: more for its reader, such as the seed
    """
    lines = ',\n  '.join(json.dumps(step.to_data()) for step in steps)
    head = json.dumps({'version': VERSION, **facts})[:-1]
    path.write_text(f'{head}, "steps": [\n  {lines}]}}\n')


def read(path: pathlib.Path) -> list[Step]:
    """Read a history from a file.

    :raises HistoryError: the file has none
    """
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise HistoryError(f'{path} cannot be read: {error}') from error
    if not isinstance(data, dict) or data.get('version') != VERSION or (
            not isinstance(data.get('steps'), list)):
        raise HistoryError(f'{path} is no history of version {VERSION}')
    return [Step.of_data(one) for one in data['steps']]
