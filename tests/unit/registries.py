# SPDX-License-Identifier: Apache-2.0

"""A directory of reports, each made of one of a real run."""

import contextlib
import io
import pathlib

import fixtures

from cinder_backup_recovery_tests.certification import main
from cinder_backup_recovery_tests.certification.verdict import (
    document as document_,
)
from cinder_backup_recovery_tests.certification.verdict import tiers
from cinder_backup_recovery_tests.certification.verdict import verify_report
from tests.unit import reports

#: A name as no driver has one: markup, the end of a line, a path, and a
#: character that reverses what follows it.
HOSTILE = '<script>throw 1</script>\n../../"\' \u202eretsiger'


class Directory(fixtures.Fixture):
    """A directory of reports, and the tiers that they are judged by.

    :param good: a :class:`reports.SmallReport` that is certified
    :param bad: one that failed
    """

    def __init__(self, good, bad):
        super().__init__()
        self._good = good
        self._bad = bad

    def _setUp(self):
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.path = root / 'reports'
        self.site = root / 'site'
        self.path.mkdir()
        load = tiers.load
        self.useFixture(fixtures.MockPatchObject(
            tiers, 'load',
            lambda path=None: load(path) if path else reports.manifest()))
        # The small suite in each way.
        self.useFixture(fixtures.MockPatchObject(
            verify_report, '_MANIFESTS', {}))

    def add(self, place, driver='acme', cinder='29.0.0', day='2026-11-01',
            fails=False, **fields):
        """Add a report that is verified.

        :param place: its directory
        :param fields: of results.json
        """
        (self.path / place).parent.mkdir(parents=True, exist_ok=True)
        directory = (self._bad if fails else self._good).copy(
            self.path / place)

        def edit(document):
            document.update(backup=driver, date=f'{day}T12:30:00+00:00',
                            **fields)
            document['versions'].update(cinder=cinder)
            document.update(document_.judgement(document,
                                                reports.manifest()))

        reports.change(directory, 'results.json', edit)
        reports.remake(directory)
        reports.sum_up(directory)
        return directory

    def run(self, *words):
        """Run the program on the directory.

        :returns: the exit status, the lines of stdout, and those of stderr
        """
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main.main(['registry', str(self.path), *words])
        return (int(code), out.getvalue().splitlines(),
                err.getvalue().splitlines())

    def make(self, *words):
        """Make the site.

        :returns: as :meth:`run`
        """
        return self.run('--output', str(self.site), *words)

    def fill(self):
        """Add several drivers with several reports, and bad ones."""
        self.add('acme/1', day='2026-09-01', fails=True)
        self.add('acme/2', day='2026-10-01', cinder='9.10.0')
        self.add('acme/3', day='2026-11-01', kit='1.0.0', way='cloud')
        self.add('acme/4', day='2026-11-02', cinder='29.0.0', fails=True,
                 kit='1.0.0', commit='c0ffee')
        self.add('long', driver='vendor.drivers.backup.with.a.long.name.'
                                'VendorBackupDriver' * 2,
                 interrupted=True)
        self.add('hostile', driver=HOSTILE)
        changed = self.add('acme/changed')
        path = changed / 'logs' / 'cinder.log'
        path.write_text(path.read_text() + '.')
        self.add('acme/twice', day='2026-11-01', kit='1.0.0', way='cloud')
        (self.path / 'none').mkdir()
        (self.path / 'none' / 'results.json').write_text('no JSON')
