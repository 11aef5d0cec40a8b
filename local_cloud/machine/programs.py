# SPDX-License-Identifier: Apache-2.0

"""Programs of the distribution, and the packages that have them."""

from collections.abc import Iterable
import dataclasses
import os
import pwd
import shutil

from local_cloud import exceptions

#: Where some of them are, which the path of a user may not have.
SYSTEM_PATH = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin'


@dataclasses.dataclass(frozen=True)
class Software:
    """Programs that are of use together only.

    :ivar title: their name, for people
    :ivar packages: Debian's packages with all that is needed here
    :ivar programs: their names
    :ivar places: directories that are searched before PATH
    :ivar system: search the system's directories after PATH; not where the
        programs are started by name
    """

    title: str
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    places: tuple[str, ...] = ()
    system: bool = True

    def find(self, name: str) -> str | None:
        """The path of a program."""
        return shutil.which(name, path=os.pathsep.join(
            (*self.places, os.environ.get('PATH', ''),
             *([SYSTEM_PATH] if self.system else []))))

    def missing(self, others: Iterable[str] = ()) -> str:
        """Find programs that this machine lacks.

        :param others: other things that it lacks
        :returns: a sentence with the packages, empty if nothing is missing
        """
        lacking = [*(name for name in self.programs
                     if self.find(name) is None), *others]
        if not lacking:
            return ''
        return (f'{self.title} is not installed ({", ".join(lacking)} not '
                f'found); on Debian: apt-get install '
                f'--no-install-recommends {" ".join(self.packages)}')


def require(missing: str) -> None:
    """Refuse to go on where something is missing.

    :param missing: a sentence; empty if nothing is
    :raises MissingPackage: with that sentence
    """
    if missing:
        raise exceptions.MissingPackage(missing)


def as_account(account: str) -> list[str]:
    """The start of a command that root must not run; empty for others.

    It runs as the account that its package has made, and may all the same
    pass through root's directories, as the state directory is one. Without
    the last flag, access(2) would deny what open(2) grants.
    """
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(account)
    return ['setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}',
            '--clear-groups', '--inh-caps=+dac_override',
            '--ambient-caps=+dac_override',
            '--securebits=+no_setuid_fixup', '--']


def missing_account(account: str) -> list[str]:
    """The account, where root needs it and it does not exist."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam(account)
    except KeyError:
        return [f'the account {account}']
    return []
