# SPDX-License-Identifier: Apache-2.0

"""Base of all tests: an account, what it makes, and every byte of it."""

from collections.abc import Callable
from collections.abc import Iterable
import contextlib
from typing import Any

from tempest import config
from tempest.lib import exceptions as lib_exc
import tempest.test
import urllib3

from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests import content
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests import known_defects
from cinder_backup_recovery_tests import steps
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import locks
from cinder_backup_recovery_tests.cloud import resources as test_resources
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import compare
from cinder_backup_recovery_tests.content import layout as content_layout

CONF = config.CONF

#: Backups of the longest chain, and so of a project at a time. A new project
#: has ten, unless an administrator says more.
LONG_CHAIN = 9

# Where drivers cut a volume, unless they are configured otherwise: blocks of
# checksums, objects of RBD, of Swift's driver, and of the local cloud's.
_BOUNDARIES = (32 << 10, 1 << 20, 4 << 20, 50 << 20, 64 << 20)


class TenantTest(tempest.test.BaseTestCase):
    """Base of every test: what a user with the role member can do.

    The database of Cinder is not needed, nor an administrator.
    """

    #: The first of them makes what is tested.
    credentials: list[Any] = ['project_member']

    # Options of [cinder_backup_recovery_feature_enabled] without which all
    # tests of the class are skipped.
    needed_features: tuple[str, ...] = ()
    # Whether the tests change the content of a volume after its creation.
    rewrites_content = False

    _accounts: list[tuple[str, str]] = []
    # Keeps clean-up from the ledger while the class runs.
    _writer: locks.Writer | None = None
    #: What the set-up of the class has raised.
    class_problem: Exception | None = None

    @classmethod
    def setUpClass(cls) -> None:
        """Set the class up; each of its tests raises a failure of that.

        A test can hand over facts about it, which a class cannot.
        """
        cls.class_story = steps.Story()
        cls.class_problem = None
        try:
            super().setUpClass()
        except Exception as exc:
            cls.class_problem = exc
            cls.class_traceback = exc.__traceback__

    @classmethod
    def tearDownClass(cls) -> None:
        """Tear the class down, once: a failed set-up has done so already."""
        if cls.class_problem is None:
            super().tearDownClass()

    @classmethod
    def skip_checks(cls) -> None:
        """Refuse a wrong configuration, skip tests of missing capabilities."""
        super().skip_checks()
        cls.check_configuration()
        reason = features.missing(CONF, cls.needed_features,
                                  cls.rewrites_content)
        if reason:
            raise reason

    @classmethod
    def check_configuration(cls) -> None:
        """Refuse a wrong configuration.

        :raises InvalidConfiguration: with all that is wrong
        """
        recovery_config.check(CONF, with_rows=False)

    @classmethod
    def before_accounts(cls) -> None:
        """Prove that the tests can run, before a user is made for them."""

    @classmethod
    def setup_credentials(cls) -> None:
        """Open the ledger, and log in."""
        cls._accounts = []
        cls.ledger = resource_ledger.Ledger(
            CONF.cinder_backup_recovery.ledger_dir)
        cls._writer = locks.Writer(cls.ledger.directory)
        cls.before_accounts()
        cls.set_network_resources()
        try:
            super().setup_credentials()
        except lib_exc.Unauthorized as exc:
            raise exceptions.InvalidConfiguration(
                f'authentication failed for the accounts in [auth]: '
                f'{" ".join(str(exc).split())}') from None
        except urllib3.exceptions.HTTPError as exc:
            raise exceptions.InvalidConfiguration(
                f'[identity] uri_v3 = {CONF.identity.uri_v3} does not '
                f'answer: {exc}') from None
        if CONF.auth.use_dynamic_credentials:
            cls._record_accounts()

    @classmethod
    def _record_accounts(cls) -> None:
        """List the users and projects that Tempest has made for the tests.

        Tempest removes them itself, unless it is killed.
        """
        for credentials_type in cls.credentials:
            made = getattr(cls, f'os_{credentials_type}').credentials
            for kind, resource_id, name in (
                    (clients.PROJECT, made.project_id, made.project_name),
                    (clients.USER, made.user_id, made.username)):
                if (kind, resource_id) not in cls._accounts:
                    cls._accounts.append((kind, resource_id))
                    cls.ledger.add(kind, resource_id, name)

    @classmethod
    def clear_credentials(cls) -> None:
        """Cross out the users and projects that Tempest removes."""
        super().clear_credentials()
        while cls._accounts:
            cls.ledger.gone(*cls._accounts.pop())
        cls.ledger.close()
        if cls._writer:
            cls._writer.close()
            cls._writer = None

    @classmethod
    def setup_clients(cls) -> None:
        """Wrap the clients of the account."""
        super().setup_clients()
        cls.cloud = clients.CloudApi(
            getattr(cls, f'os_{cls.credentials[0]}'))
        cls.project_id = cls.cloud.project_id

    @classmethod
    def resource_setup(cls) -> None:
        """Choose the microversion, and how resources are made."""
        super().resource_setup()
        cls.setup_api_microversion_fixture(
            volume_microversion=recovery_config.MICROVERSION)
        cls.patience = waiters.Patience.from_config(CONF)
        cls.size_bytes = (CONF.cinder_backup_recovery.volume_size *
                          access.GIB)
        cls.class_resources = cls._make_resources(
            cls.addClassResourceCleanup, cls.class_story)
        cls.class_content = content.make(CONF, cls.class_resources)

    def setUp(self) -> None:
        """Create the helpers that register clean-ups of this test."""
        self.story = steps.Story(self.class_story)
        for name, detail in self.story.details().items():
            self.addDetail(name, detail)
        self.addOnException(self._record_exception)
        if self.class_problem is not None:
            raise self.class_problem.with_traceback(self.class_traceback)
        super().setUp()
        self.resources = self._make_resources(self.addCleanup, self.story)
        self.content = content.make(CONF, self.resources)

    def _record_exception(self, exc_info: Any) -> None:
        """Record an exception as data, in addition to its text."""
        found = self.story.facts
        refusal = facts.Refusal.of(exc_info[1])
        if refusal:
            found.refusals.append(refusal)
        found.lacks = features.lacking(exc_info[1]) or found.lacks

    @classmethod
    def _make_resources(cls, add_cleanup: Any, story: steps.Story,
                        cloud: clients.CloudApi | None = None,
                        ledger: resource_ledger.Ledger | None = None
                        ) -> test_resources.Resources:
        defaults = {}
        if cls.volume_type():
            defaults['volume_type'] = cls.volume_type()
        return test_resources.Resources(
            cloud or cls.cloud, ledger or cls.ledger, cls.patience,
            add_cleanup,
            CONF.cinder_backup_recovery.name_prefix, defaults, story)

    @classmethod
    def volume_type(cls) -> str:
        """Return the type of the volumes; empty for the cloud's default."""
        return CONF.volume.volume_type

    def known_defect(self, name: str, shows: bool = True,
                     looks: Callable[[BaseException], bool] | None = None
                     ) -> contextlib.AbstractContextManager[None]:
        """Check a behavior that a known defect of Cinder breaks.

        :param shows: whether it shows in every cloud that has it
        :param looks: whether a failure is a symptom of the defect
        """
        return known_defects.expected(
            self, self.story.facts, recovery_config.declared_defects(CONF),
            name, shows, looks)

    # Content

    @classmethod
    def layout(cls, seed: int, size_bytes: int | None = None
               ) -> content_layout.Layout:
        """Create a layout with data where drivers have made mistakes."""
        return content_layout.Layout.scattered(
            seed, size_bytes or cls.size_bytes, _BOUNDARIES)

    @classmethod
    def foreign_layout(cls, seed: int) -> content_layout.Layout:
        """Create the layout of a volume that is to be overwritten.

        Through an attachment it is full. Through an image, which would
        move all of it, every 64 MiB hold one MiB, and the end does.
        """
        size = cls.size_bytes
        if (CONF.cinder_backup_recovery.content_access ==
                connecting.ATTACHMENT):
            extents = [(0, size)]
        else:
            mib = 1024 * 1024
            extents = [(offset, mib) for offset in range(0, size, 64 * mib)]
            extents.append((size - mib, mib))
        return content_layout.Layout(
            seed=seed, size_bytes=size,
            extents=tuple(content_layout.Extent(offset, length, 1)
                          for offset, length in extents))

    def assert_content(self, volume_id: str,
                       expected: content_layout.Layout, what: str,
                       history: Iterable[content_layout.Layout] = (),
                       content: access.VolumeContent | None = None
                       ) -> None:
        """Compare every byte of a volume with what it must hold (L3).

        :param what: how a failure calls the volume
        :param history: older contents, by which a failure is named
        :raises ContentMismatch: saying where and what the difference is
        """
        with self.story.step(f'each of the {expected.size_bytes} bytes of '
                             f'volume {volume_id} is the original one',
                             facts.COMPARE):
            with (content or self.content).read(volume_id) as stream:
                comparison = compare.compare(expected, stream, history)
            comparison.raise_if_different(f'{what} (volume {volume_id})')
