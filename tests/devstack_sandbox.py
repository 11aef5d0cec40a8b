# SPDX-License-Identifier: Apache-2.0

"""DevStack's plugin in a temporary directory, where it changes nothing else.

What would change the machine is written down instead. With the variable
``CBRT_DEVSTACK_DIR``, the directory of a DevStack, its real functions and its
real ``lib/cinder`` call the plugin; without it, stand-ins do.
"""

import os
import pathlib
import subprocess

import fixtures
from oslo_config import cfg

ROOT = pathlib.Path(__file__).parents[1]
_FUNCTIONS = pathlib.Path(__file__).with_name('devstack_functions.sh')

# Programs that plugin and DevStack call, and what stands for them.
_PROGRAMS = {
    # Who runs the tests may be root, and what they test may be wrong.
    'sudo': ('while [ "${1#-}" != "$1" ]; do shift; done\n'
             'for word; do case "$word" in\n'
             '    */../* | */..) ;;\n'
             '    "$SANDBOX"/* | [!/]*) continue;;\n'
             'esac\n'
             'echo "outside of the sandbox: $*" >&2; exit 1; done\n'
             'exec "$@"\n'),
    'exportfs': 'echo exportfs "$@" >> "$SANDBOX/actions"\n',
    'findmnt': 'cat "$SANDBOX/mounted" 2>/dev/null || true\n',
    'umount': ('echo umount "$@" >> "$SANDBOX/actions"\n'
               'grep -vxF -- "$1" "$SANDBOX/mounted" > "$SANDBOX/still" '
               '|| true\nmv "$SANDBOX/still" "$SANDBOX/mounted"\n'),
    'cinder-rtstool': '',
    'cinder-manage': '',
}

# In DevStack's tree, for the drivers that the plugin's build upon.
_LIBRARIES = {
    'swift': {'backup_driver': 'cinder.backup.drivers.swift.'
                               'SwiftBackupDriver',
              'backup_swift_url': 'http://$SERVICE_HOST:'
                                  '$SWIFT_DEFAULT_BIND_PORT/v1/AUTH_'},
    'ceph': {'backup_driver': 'cinder.backup.drivers.ceph.CephBackupDriver',
             'backup_ceph_conf': '$CEPH_CONF_FILE',
             'backup_ceph_user': '$CINDER_BAK_CEPH_USER',
             'backup_ceph_pool': '$CINDER_BAK_CEPH_POOL'},
}

class Sandbox(fixtures.Fixture):
    """A place for one DevStack."""

    root: pathlib.Path

    def __init__(self, **local_conf: str):
        super().__init__()
        self.local_conf = local_conf
        self.devstack = os.environ.get('CBRT_DEVSTACK_DIR', '')

    def _setUp(self) -> None:
        self.root = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self._make_programs()
        libraries = self.root / 'lib' / 'cinder_backups'
        libraries.mkdir(parents=True)
        for name, options in _LIBRARIES.items():
            lines = [f'    iniset "$CINDER_CONF" DEFAULT {option} "{value}"\n'
                     for option, value in options.items()]
            (libraries / name).write_text(
                f'function configure_cinder_backup_{name} {{\n'
                f'{"".join(lines)}}}\n')
        ceph = self.root / 'ceph'
        ceph.mkdir()
        for user in ('cinder', 'cinder-bak'):
            (ceph / f'ceph.client.{user}.keyring').write_text('a key\n')

    def _make_programs(self) -> None:
        directory = self.root / 'bin'
        python = self.root / 'tempest' / '.tox' / 'tempest' / 'bin'
        for path, text in (
                *((directory / name, text)
                  for name, text in _PROGRAMS.items()),
                (python / 'python', f'echo {self.root}/site-packages\n'),
                (self.root / 'data' / 'venv' / 'bin' / 'cinder-manage',
                 'test "$*" = --version\necho 30.0.0\n'),
                (self.root / 'data' / 'venv' / 'bin' / 'python3',
                 'case "$2" in *\'version("cinder")\'*) '
                 'echo 30.0.0.0b2.dev7;; *) exit 1;; esac\n'),
                (directory / 'system-python',
                 f'case "$2" in *rados*) name=rados;; *) name=rbd;; esac\n'
                 f'echo {self.root}/packages/$name.so\n')):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'#!/bin/sh\n{text}')
            path.chmod(0o755)
        (self.root / 'site-packages').mkdir()

    def run(self, script: str, **more: str
            ) -> subprocess.CompletedProcess[str]:
        """Run a script of DevStack's."""
        (self.root / 'actions').unlink(missing_ok=True)
        return subprocess.run(
            ['bash', str(_FUNCTIONS), script], cwd=self.root,
            capture_output=True, text=True, timeout=600,
            stdin=subprocess.DEVNULL,
            env={'PATH': f'{self.root}/bin:{os.environ["PATH"]}',
                 'HOME': str(self.root), 'LC_ALL': 'C.UTF-8',
                 'TMPDIR': str(self.root),
                 'SANDBOX': str(self.root), 'PLUGIN_DIR': str(ROOT),
                 'DEVSTACK_DIR': self.devstack,
                 'BACKUP_RECOVERY_NFS_EXPORTS':
                     str(self.root / 'exports.d' / 'backups.exports'),
                 'BACKUP_RECOVERY_SYSTEM_PYTHON':
                     str(self.root / 'bin' / 'system-python'),
                 **self.local_conf, **more})

    def done(self, script: str, **more: str) -> str:
        """Run a script that has to succeed."""
        result = self.run(script, **more)
        said = result.stdout + result.stderr
        if result.returncode:
            raise AssertionError(f'{script}: {said}')
        return said

    @property
    def cinder_conf(self) -> pathlib.Path:
        return self.root / 'etc-cinder' / 'cinder.conf'

    @property
    def tempest_conf(self) -> pathlib.Path:
        return self.root / 'tempest' / 'etc' / 'tempest.conf'

    @property
    def data(self) -> pathlib.Path:
        """All that the plugin makes."""
        return self.root / 'data' / 'backup-recovery'

    @property
    def exports(self) -> pathlib.Path:
        return self.root / 'exports.d' / 'backups.exports'

    def actions(self) -> list[str]:
        """The commands that the last script would have run on the machine."""
        path = self.root / 'actions'
        return path.read_text().splitlines() if path.exists() else []

    def mount(self, *paths: pathlib.Path) -> None:
        """Say that these are mounted."""
        (self.root / 'mounted').write_text(
            ''.join(f'{path}\n' for path in paths))

    def mounted(self) -> list[str]:
        return (self.root / 'mounted').read_text().splitlines()


def read(path: pathlib.Path) -> dict[str, dict[str, str]]:
    """The sections of a configuration, as oslo.config reads it."""
    sections: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(str(path), sections).parse()
    return {section: {option: values[-1]
                      for option, values in options.items()}
            for section, options in sections.items()}
