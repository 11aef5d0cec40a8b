# SPDX-License-Identifier: Apache-2.0

"""The distribution's packages of Ceph: programs, and Python bindings."""

import importlib.machinery
import os
import pathlib
import sys

from local_cloud import exceptions
from local_cloud.machine import programs

SOFTWARE = programs.Software(
    'Ceph', ('ceph-mon', 'ceph-osd', 'ceph-common', 'python3-rados',
             'python3-rbd'), ('ceph-mon', 'ceph-osd', 'ceph', 'rbd'),
    system=False)

GATEWAY = programs.Software(
    'RADOS Gateway', ('radosgw', 'ceph-common'), ('radosgw', 'radosgw-admin'),
    system=False)

SYSTEM_PYTHON = '/usr/bin/python3'
"""The distribution's Python, to which its bindings belong."""

_MODULES = ('rados', 'rbd')
_DIST_PACKAGES = pathlib.Path('/usr/lib/python3/dist-packages')


def missing() -> str:
    """A sentence about packages that a cluster lacks here, or nothing."""
    return SOFTWARE.missing(
        name for name in _MODULES
        if not list(_DIST_PACKAGES.glob(f'{name}.cpython-*.so')))


def missing_for_cinder() -> str:
    """A sentence about packages that Cinder lacks for a cluster here."""
    if lacking := missing():
        return lacking
    try:
        _bindings()
    except exceptions.MissingPackage as error:
        return str(error)
    return ''


def missing_for_gateway() -> str:
    """A sentence about packages that a cloud with a gateway lacks here."""
    return missing_for_cinder() or GATEWAY.missing()


def _bindings() -> list[pathlib.Path]:
    """The files of the bindings, for this very Python."""
    found = []
    for name in _MODULES:
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            source = _DIST_PACKAGES / f'{name}{suffix}'
            if source.exists():
                found.append(source)
                break
        else:
            raise exceptions.MissingPackage(
                f'python3-{name} of this distribution is for another Python '
                f'than {sys.version_info.major}.{sys.version_info.minor}; '
                f'make the virtualenv with {SYSTEM_PYTHON}')
    return found


def link_bindings(directory: str | os.PathLike) -> str:
    """Make a directory for ``sys.path`` with only ``rados`` and ``rbd``.

    They are not on PyPI. All of the distribution's packages on the path of
    a virtualenv would replace libraries that are pinned there.

    :raises MissingPackage: there are none, or not for this Python
    """
    programs.require(missing())
    target = pathlib.Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    for source in _bindings():
        link = target / source.name
        if not link.is_symlink():
            link.symlink_to(source)
    return str(target)
