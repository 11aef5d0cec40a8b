# SPDX-License-Identifier: Apache-2.0

"""The contract, bound to a driver by its name."""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import os
import shutil
import tempfile
from typing import Any
import unittest

from oslo_utils import importutils
import testtools

from backup_stores import filesystem
from backup_stores import objects
from backup_stores import s3
from reference_drivers import hooks
from reference_drivers import import_verify
from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.contract import environment
from reference_drivers.contract import files
from reference_drivers.contract import recovery
from reference_drivers.contract import silence
from reference_drivers.contract import stopping
from reference_drivers.contract import trust

#: Names of the options for the size of a chunk, for that of a block, and for
#: what only takes time; by the class of Cinder's that a driver extends.
_OPTIONS = {
    'cinder.backup.drivers.gcs.GoogleBackupDriver': (
        'backup_gcs_object_size', 'backup_gcs_block_size',
        'backup_gcs_enable_progress_timer'),
    'cinder.backup.drivers.posix.PosixBackupDriver': (
        'backup_file_size', 'backup_sha_block_size_bytes',
        'backup_enable_progress_timer'),
    'cinder.backup.drivers.s3.S3BackupDriver': (
        'backup_s3_object_size', 'backup_s3_block_size',
        'backup_s3_enable_progress_timer'),
    'cinder.backup.drivers.swift.SwiftBackupDriver': (
        'backup_swift_object_size', 'backup_swift_block_size',
        'backup_swift_enable_progress_timer'),
}
_CHUNKED = 'cinder.backup.chunkeddriver.ChunkedBackupDriver'
#: The stores that need no more than the driver's options.
_STORES = {
    'cinder.backup.drivers.posix.PosixBackupDriver':
        filesystem.FilesystemStore,
    'cinder.backup.drivers.s3.S3BackupDriver': s3.S3Store,
}

# Bytes for the volumes of a test and their restores.
_ROOM = 64 << 20

#: Why a test of what an import proves is skipped.
LACKS_VERIFY = ('it does not derive from '
                'reference_drivers.import_verify.ImportVerifyMixin')
#: The classes of the tests; a driver that is not chunked has others of the
#: same names.
_CLASSES = (recovery.RecoveryContract, recovery.ChunksContract,
            silence.SilenceContract, trust.TrustContract)
NAMES = tuple(dict.fromkeys(
    name for cls in _CLASSES for parent in reversed(cls.__mro__)
    for name in vars(parent) if name.startswith('test_')))


class BindingError(Exception):
    """The contract cannot be bound to this driver."""


def _import(name: str, what: str) -> Any:
    try:
        return importutils.import_class(name)
    except Exception as error:
        # An import runs whatever the module does.
        raise BindingError(
            f'{what} {name} cannot be imported: {_text(error)}') from error


def _text(error: BaseException) -> str:
    return ' '.join(str(error).split()) or type(error).__name__


#: Why a test that looks into the storage is skipped.
LACKS_STORE = 'no store adapter was given (--store)'


class _NoStore(objects.ObjectStore):
    """In place of a store that the vendor has not named."""

    def _skip(self, *args: Any) -> Any:
        raise unittest.SkipTest(LACKS_STORE)

    list = read = write = delete = locate = _skip  # type: ignore[assignment]


@dataclasses.dataclass
class Binding:
    """The driver under test, and how a vendor describes it.

    :ivar driver: its class
    :ivar config_files: cinder.conf with its options
    :ivar store: a class of :mod:`backup_stores` with ``from_cinder``, or
        anything else that is called with Cinder's configuration and returns
        an :class:`.objects.ObjectStore`
    :ivar chunk_option: sets the size of its chunks
    :ivar block_option: sets the size of the blocks that it makes sums of
    :ivar denied: the capabilities that its profile denies
    :ivar level: the highest level at which an import verifies
    :raises BindingError: one of these is missing or wrong
    """

    driver: str
    config_files: Sequence[str] = ()
    store: str | None = None
    chunk_option: str | None = None
    block_option: str | None = None
    denied: Collection[str] = ()
    level: str = 'content'

    def __post_init__(self) -> None:
        for name in self.config_files:
            if not os.access(name, os.R_OK) or not os.path.isfile(name):
                raise BindingError(f'the configuration {name} cannot be read')
        found = _import(self.driver, 'the driver')
        parents = {f'{one.__module__}.{one.__qualname__}'
                   for one in getattr(found, '__mro__', ())}
        if not hasattr(found, 'backup') or not hasattr(found, 'restore'):
            raise BindingError(f'{self.driver} is not a backup driver')
        self.chunked = _CHUNKED in parents
        #: Whether its records can be trusted.
        self.verifies = issubclass(found, import_verify.ImportVerifyMixin)
        #: The capabilities that are known from its class.
        self.capabilities = {
            'import_verify': self.verifies,
            'incremental': next(
                f'{one.__module__}.{one.__qualname__}' == _CHUNKED
                for one in found.__mro__
                if 'backup' in vars(one) and one is not hooks.VerifyMixin)}
        #: Capabilities that drivers of its kind are not tested for, with
        #: the reason.
        self.inapplicable = {} if self.chunked else {
            'chunks': 'it stores no chunks as Cinder does'}
        self._options: dict[str, Any] = {}
        for name, (chunk, block, timer) in _OPTIONS.items():
            if name in parents:
                self.chunk_option = self.chunk_option or chunk
                self.block_option = self.block_option or block
                self._options[timer] = False
        if self.chunked and not (self.chunk_option and self.block_option):
            raise BindingError(
                f'{self.driver} cuts volumes into chunks: name its options '
                f'for their sizes with --chunk-option and --block-option')
        self._make_store: Any = next(
            (store for name, store in _STORES.items() if name in parents),
            None)
        if self.store:
            self._make_store = _import(self.store, 'the store adapter')

    def make_environment(self) -> environment.Environment:
        """Cinder with this driver."""
        options = dict(self._options)
        if self.chunked:
            options[str(self.chunk_option)] = base.Contract.chunk
            options[str(self.block_option)] = base.Contract.block
        return environment.Environment(self.driver, options,
                                       self.config_files)

    @property
    def has_store(self) -> bool:
        """Return True if tests can look into the driver's storage."""
        return self._make_store is not None

    def make_objects(self) -> objects.ObjectStore:
        """The vendor's store, in an environment that is set up."""
        make = self._make_store
        if make is None:
            return _NoStore()
        return getattr(make, 'from_cinder', make)(environment.CONF)

    def tests(self) -> unittest.TestSuite:
        """All that there is for a driver.

        The id of a test is that of the contract's class which has it, the
        same for each driver.
        """
        members: dict[str, Any] = {'binding': self}
        contract: type = trust.TrustContract
        if self.chunked:
            members |= {'chunk_option': self.chunk_option,
                        'block_option': self.block_option}
        else:
            contract = files.FilesContract
            members['compressions'] = ()
            members |= {name: _of_chunks for name in NAMES
                        if not hasattr(contract, name)}
        case = type('Case', (_Bound, contract, testtools.TestCase), members)
        return unittest.defaultTestLoader.loadTestsFromTestCase(case)

    def check(self, look: bool = True) -> None:
        """Prove that the driver under test works on its storage.

        :param look: also make a backup, and check whether the store sees it
        :raises BindingError: with the fault in one line
        """
        directory = tempfile.gettempdir()
        free = shutil.disk_usage(directory).free
        if free < _ROOM:
            # The tests would report that the driver cannot write.
            raise BindingError(
                f'{directory} has {free >> 20} MiB left, and the volumes of '
                f'the tests want {_ROOM >> 20}: make room, or set TMPDIR to '
                f'another directory')
        cinder = self.make_environment()
        try:
            cinder.setUp()
        except Exception as error:
            by = ', '.join(self.config_files)
            raise BindingError(
                f'Cinder cannot be configured{by and f" by {by}"}: '
                f'{_reason(error)}') from error
        try:
            with _saying(f'{self.driver} cannot be set up'):
                driver = cinder.driver()
                driver.check_for_setup_error()
            if self.chunked:
                self._check_sizes(driver)
            with _saying(f'the store adapter {self.store} cannot be set up'):
                store = self.make_objects()
            if look and not isinstance(store, _NoStore):
                self._check_store(cinder, store)
        finally:
            with stopping.held():
                tidy(cinder)
                cinder.cleanUp()

    def _check_sizes(self, driver: Any) -> None:
        for option, wanted, found in (
                (self.chunk_option, base.Contract.chunk,
                 driver.chunk_size_bytes),
                (self.block_option, base.Contract.block,
                 driver.sha_block_size_bytes)):
            if wanted != found:
                raise BindingError(
                    f'{option} was set to {wanted}, and {self.driver} uses '
                    f'{found}: name the right one with --chunk-option or '
                    f'--block-option')

    def _check_store(self, cinder: environment.Environment,
                     store: objects.ObjectStore) -> None:
        try:
            backup = cinder.create_backup(
                cinder.create_volume(base.text(base.Contract.chunk)))
        except Exception:
            # The tests report what a driver cannot do.
            return
        with _saying(f'the store adapter {self.store} does not work'):
            container, prefix = store.locate(backup)
            seen = store.list(container, prefix)
        if not seen:
            raise BindingError(
                f'the store adapter {type(store).__name__} sees none of the '
                f'objects that {self.driver} has just written: no name in '
                f'{container!r} begins with {prefix!r}; configure it for the '
                f'same location, or give it a method locate')


def _reason(error: Exception) -> str:
    # A fixture that fails raises a group of errors.
    inner = error.args[0] if error.args else error
    if isinstance(inner, tuple) and len(inner) == 3:
        return _text(inner[1])
    return _text(error)


@contextlib.contextmanager
def _saying(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise BindingError(f'{what}: {_text(error)}') from error


def tidy(cinder: environment.Environment) -> None:
    """Remove an environment's backups from the storage.

    Through the driver, by the original rows: a test may have deleted or
    forged them.

    :param cinder: the environment, before it is cleaned up
    """
    # A test of a storage that hangs leaves a limit that is too short here.
    cinder.configure(**{f'{options.GROUP}__timeout': 600})
    left = _delete(cinder, reversed(cinder.made))
    if left:
        # An interrupt may have left the database in a transaction.
        with contextlib.suppress(Exception):
            cinder.useFixture(environment.Database())
            _delete(cinder, left)


def _delete(cinder: environment.Environment, backups: Iterable[Any]
            ) -> list[Any]:
    """Delete backups, and return those that could not be deleted."""
    left = []
    driver = None
    for backup in backups:
        try:
            driver = driver or cinder.driver()
            driver.delete_backup(backup)
            # Or its parent has a child by the rows, and must stay.
            cinder.lose_row(backup.id)
        except Exception:
            left.append(backup)
    return left


def _heard(method: Callable[[], None]) -> Callable[[], None]:
    @functools.wraps(method)
    def run() -> None:
        with stopping.heard():
            method()

    return run


def _of_chunks(self: Any) -> None:
    """Only chunks can be damaged like this."""
    self.lacks('chunks', self.binding.inapplicable['chunks'])


class _Bound:
    """Mixed into the contract's cases."""

    binding: Binding
    # More than a page of most listings.
    many = 1100

    def run(self: Any, result: Any = None) -> Any:
        # Between two tests there are no backups to remove.
        stopping.check()
        return super().run(result)  # type: ignore[misc]

    def setUp(self: Any) -> None:
        method = getattr(self, self._testMethodName)
        setattr(self, self._testMethodName, _heard(method))
        self.denied = frozenset(self.binding.denied)
        if not self.binding.chunked:
            self.levels = self.levels[:self.levels.index(
                self.binding.level) + 1]
        if not hasattr(recovery.ChunksContract, self._testMethodName):
            self.needs('import_verify')
            if not self.binding.verifies:
                self.lacks('import_verify', LACKS_VERIFY)
        super().setUp()  # type: ignore[misc]
        self.addCleanup(tidy, self.cinder)

    def make_environment(self) -> environment.Environment:
        return self.binding.make_environment()

    def make_objects(self) -> objects.ObjectStore:
        return self.binding.make_objects()

    def id(self: Any) -> str:
        name = self._testMethodName
        cls = next(cls for cls in _CLASSES if hasattr(cls, name))
        return f'{cls.__module__}.{cls.__qualname__}.{name}'
