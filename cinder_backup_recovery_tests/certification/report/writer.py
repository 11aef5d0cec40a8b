# SPDX-License-Identifier: Apache-2.0

"""The report of a run, for people and for programs."""

from collections.abc import Mapping
import json
import os
import pathlib
import tempfile
from typing import Any

from cinder_backup_recovery_tests.certification.report import digests
from cinder_backup_recovery_tests.certification.report import junit
from cinder_backup_recovery_tests.certification.report import page
from cinder_backup_recovery_tests.certification.report import redact
from cinder_backup_recovery_tests.certification.run import stream
from cinder_backup_recovery_tests.certification.verdict import results
from cinder_backup_recovery_tests.certification.verdict import tiers

_ROOM = 4 << 20
RESULTS = 'results.json'
TIERS = 'tiers.json'
STREAM = 'results.subunit'
JUNIT = 'junit.xml'
PAGE = 'report.html'
LOGS = 'logs'
#: The files of a report, of which all but the stream are made at its end.
FILES = (RESULTS, TIERS, STREAM, JUNIT, PAGE)


class ReportError(Exception):
    """The report cannot be written."""


class Report:
    """The directory of a report, from before the run to its end.

    Secrets are learnt from all that is told of the cloud, and taken out of
    all that is written.

    :param directory: it is made, and what an older report has left in it is
        removed
    :raises ReportError: if it cannot be written to, or has something under
        these names that is of no report
    """

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        #: Takes secrets out of a text.
        self.redact = redact.of_environment()
        self._configuration: dict[str, Any] = {}
        self._recorder: stream.Recorder | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._clear()
            with tempfile.TemporaryFile(dir=directory) as file:
                # Room for a report, which a full disk still has a name for.
                file.write(bytes(_ROOM))
        except OSError as error:
            raise self._error(directory, error) from error

    def _clear(self) -> None:
        """Remove an older report, and no other file."""
        foreign = self._foreign()
        if foreign:
            raise ReportError(
                f'{foreign} was not written by this program; refusing to '
                f'overwrite it (choose another run.report_dir)')
        for name in self._there():
            (self.directory / name).unlink()
        (self.directory / digests.NAME).unlink(missing_ok=True)

    def _foreign(self) -> pathlib.Path | None:
        """Find the first file in the way that is not of a report."""
        mark = self.directory / digests.NAME
        try:
            listed = set(digests.read(self.directory))
        except FileNotFoundError:
            ours: tuple[str, ...] = ()
            listed = set()
        except (OSError, ValueError):
            return mark
        else:
            # A run that was killed has listed nothing yet.
            ours = FILES
        if any(name.partition('/')[0] not in (*FILES, LOGS)
               for name in listed):
            return mark
        return next((self.directory / name for name in self._there()
                     if name not in listed and name not in ours), None)

    def _there(self) -> list[str]:
        """The files under the names of a report."""
        there = [name for name in FILES
                 if os.path.lexists(self.directory / name)]
        if self.logs.is_symlink() or not self.logs.is_dir():
            return there + [LOGS] * os.path.lexists(self.logs)
        return there + [str(one.relative_to(self.directory))
                        for one in sorted(self.logs.rglob('*'))
                        if one.is_symlink() or not one.is_dir()]

    @staticmethod
    def _error(path: pathlib.Path, error: OSError) -> ReportError:
        return ReportError(f'the report cannot be written to {path}: '
                           f'{error.strerror}')

    @property
    def logs(self) -> pathlib.Path:
        """Where the logs of the services go."""
        return self.directory / LOGS

    def learn(self, variables: Mapping[str, str]) -> None:
        """Learn the secrets of an environment."""
        self.redact.learn_variables(variables)

    def show_file(self, name: str, path: pathlib.Path) -> None:
        """Put a file of oslo.config's into the report, and learn from it.

        :param path: the file; nothing is shown where it cannot be read
        """
        try:
            text = path.read_text(errors='replace')
        except OSError:
            return
        self._configuration[name] = self.redact.ini(text)

    def show(self, name: str, options: Mapping[str, Any]) -> None:
        """Put nested options into the report, a profile's say."""
        self._configuration[name] = self.redact.mapping(options)

    def recorder(self) -> stream.Recorder:
        """Make the recorder of the run's stream.

        :raises ReportError: if it cannot be written
        """
        path = self.directory / STREAM
        try:
            # What says whose all this is if the run is killed.
            digests.write(self.directory, [])
            self._recorder = stream.Recorder(path, self.redact)
        except OSError as error:
            raise self._error(path, error) from error
        return self._recorder

    def clean(self, result: results.Result) -> results.Result:
        """Take out of a result what was learnt to be secret since it came."""
        return stream.clean_result(result, self.redact)

    @property
    def configuration(self) -> dict[str, Any]:
        """The options that are in the report, by file."""
        # Again: what came later may name a secret of what came first.
        return self.redact.mapping(self._configuration)

    @property
    def page(self) -> pathlib.Path:
        """The page for people."""
        return self.directory / PAGE

    def write(self, content: Mapping[str, Any],
              manifest: tiers.Manifest | None) -> None:
        """Write all files.

        :raises ReportError: if it cannot be written
        """
        try:
            if self._recorder:
                self._recorder.close()
            self._put(RESULTS, json.dumps(content, indent=2) + '\n')
            if manifest:
                self._put(TIERS, json.dumps(manifest.as_document(),
                                             indent=1) + '\n')
            self._put(JUNIT, junit.render(content))
            self._put(PAGE, page.render(content, manifest))
            digests.write(self.directory, [
                name for name in (*FILES, LOGS)
                if (self.directory / name).exists()])
        except OSError as error:
            raise self._error(self.directory / RESULTS, error) from error

    def _put(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text, encoding='utf-8',
                                           newline='')

    def clean_logs(self) -> None:
        """Take the secrets out of the logs, line by line.

        They stay also where no report is written in the end, and the next
        one removes them then.

        :raises ReportError: if they cannot be written
        """
        try:
            self._clean_logs()
            if set(self._there()) - set(FILES):
                digests.write(self.directory, [LOGS])
        except OSError as error:
            raise self._error(self.logs, error) from error

    def _clean_logs(self) -> None:
        for path in sorted(self.logs.rglob('*')):
            if not path.is_file() or path.is_symlink():
                continue
            clean = path.with_name(path.name + '.clean')
            with (path.open(errors='surrogateescape', newline='') as old,
                  clean.open('w', errors='surrogateescape', newline='')
                  as new):
                new.writelines(map(self.redact, old))
            clean.replace(path)
