# SPDX-License-Identifier: Apache-2.0

"""Every command that a page shows is run by a test, or cannot be.

Each block of commands is here: as part of a page that a test follows word by
word, with the test that runs the same, or with the reason why none does.
"""

import pathlib
import re
import subprocess

from cinder import objects
from cinder.objects import backup as backup_objects
import testtools

from cinder_backup_recovery_tests import record
from reference_drivers import driver_info
from reference_drivers.ceph import driver_info as ceph_driver_info
from tests import pages

_ROOT = pathlib.Path(__file__).parents[2]
_LANGUAGES = ('bash', 'console', 'shell')

#: Pages whose blocks for the console a test follows word by word.
FOLLOWED = {
    'admin/recovery.rst': 'tests/functional/test_operators_page.py',
    'admin/switching.rst': 'tests/functional/test_operators_page.py',
    'user/certify.rst': 'tests/long/test_vendor_page.py',
}

_CLOUD = 'tests/functional/test_local_cloud.py'
_KILL = 'tests/functional/test_local_cloud_kill.py'
_BARBICAN = 'tests/functional/test_local_cloud_barbican.py'
_RECOVERY_KEYS = 'tests/unit/test_records_keys.py'
_WRAPPING = 'tests/unit/test_wrapping.py'
_WHEEL = 'tests/functional/test_wheel.py'
_MUTANTS = 'tests/functional/test_mutants.py'
_BENCHMARKS = 'tests/unit/test_benchmarks.py'

#: By how a command begins: the test that runs the same, and what of the
#: command is in it.
RUN = {
    'cinder-backup-histories': ('tests/functional/test_histories.py',
                                "'reference_drivers.histories'"),
    'cinder-backup-local-cloud up': (_CLOUD, "'up'"),
    'eval "$(cinder-backup-local-cloud env)"': (_CLOUD, 'eval "$('),
    'cinder-backup-local-cloud status': (_CLOUD, "'status'"),
    'cinder-backup-local-cloud logs cinder -n 20': (_CLOUD, "'logs'"),
    'cinder-backup-local-cloud down': (_KILL, "'down'"),
    'cinder-backup-local-cloud run -- openstack volume service list':
        (_KILL, "'run', '--'"),
    'cinder-backup-local-cloud up --second-region':
        ('doc/source/admin/recovery.rst', 'up --second-region'),
    'cinder-backup-local-cloud up --key-manager barbican':
        (_BARBICAN, "key_manager='barbican'"),
    'openstack volume create --size 1 --type luks secret':
        (_BARBICAN, '--type luks secret'),
    'openstack secret list': (_BARBICAN, 'openstack secret list'),
    'cinder-backup-local-cloud up --cinder 2026.1':
        ('tests/functional/release_cases.py', "'--cinder'"),
    'cinder-backup-results-table --condense':
        ('tests/unit/test_results_table.py', "'--condense'"),
    'cinder-backup-certify verify-report certify-report':
        (_WHEEL, "'verify-report'"),
    'cinder-backup-certify registry reports --check':
        ('tests/unit/test_registry_program.py', "run('--check')"),
    'cinder-backup-certify registry reports --output site':
        ('tests/unit/registries.py', "run('--output', str(self.site)"),
    'cinder-backup-recovery-cleanup': ('tests/unit/test_cleanup.py',
                                       'cleanup.main'),
    'python -m cinder_backup_recovery_tests.certification.verdict.manifest '
    '--write':
        ('tests/unit/test_tiers.py', "'--write'"),
    'python -m mutants': (_MUTANTS, 'program.main'),
    'openssl genpkey': (_WRAPPING, "'genpkey'"),
    'openssl pkey': (_WRAPPING, "'-pubout'"),
    'cinder-backup-records export --everything records':
        ('tests/functional/test_records.py', "'export', '--everything'"),
    'cinder-backup-records apply plan --recovery-key':
        (_RECOVERY_KEYS, "'--recovery-key'"),
    'cinder-backup-records rewrap records': (_RECOVERY_KEYS, "'rewrap'"),
    'make benchmark': (_BENCHMARKS, "program.main, 'verification'"),
    'make benchmark-backups': (_BENCHMARKS, "'backups', '--size'"),
    'make benchmark-ceph': (_BENCHMARKS, "program.main, 'ceph'"),
    'make benchmark-cloud': (_BENCHMARKS, "(['cloud'"),
    'make benchmark-start': (_BENCHMARKS, "(['start'"),
    'make benchmark-histories': (_BENCHMARKS, "(['histories'"),
    'python -m benchmarks suite': (_BENCHMARKS, "run('suite'"),
    "pip install '.[drivers]'": (_WHEEL, "pip install '.[drivers]'"),
    "pip install '.[mysql]'": (_WHEEL, "pip install '.[mysql]'"),
    "pip install '.[local-cloud,s3,swift,postgresql,mysql]'":
        (_WHEEL, "pip install '.[local-cloud,s3,swift,postgresql,mysql]'"),
    'make certify': ('.ci/run', 'make certify'),
    'make cross-drivers': ('tests/functional/test_cross_drivers.py',
                           "'-m', 'tests.cross_drivers'"),
    'make docs': ('.ci/run', 'make docs'),
    'make growth': ('tests/growth.py', 'test_linear'),
    'make histories': ('tests/functional/test_histories.py',
                       'tests.patched_histories'),
    'make many-records': ('tests/many_records.py',
                          'test_killed_at_many_moments'),
    'make key-sequences': ('tests/functional/test_key_sequences.py',
                           'program.main,'),
    'make lint': ('.ci/run', 'make lint'),
    'make test': ('.ci/run', 'make test'),
    "tempest run --regex '^cinder_backup_recovery_tests\\.'":
        (_WHEEL, "r'^cinder_backup_recovery_tests\\.'"),
}

#: By how a command begins: why no test runs it.
EXEMPT = {
    '/opt/stack/tempest/.tox/tempest/bin/cinder-backup-certify cloud':
        'needs a DevStack',
    'python3 -m venv certify':
        'the tests of the package make such an environment',
    '. certify/bin/activate':
        'the tests of the package make such an environment',
    'chromium --headless':
        'the picture is chosen by a person; '
        'tests/functional/test_report_page.py opens a report in this browser',
    'apt-get install': 'needs root; tools/debian-packages.sh does it in CI',
    'cinder-backup-certify cloud --profile acme-cloud.yaml':
        "a vendor's cloud; tests/functional/test_certify_cloud.py runs it "
        'with a local one',
    'cinder-backup-certify tenant':
        "a user's cloud; tests/functional/test_certify_tenant.py runs it with "
        'a local one',
    'export OS_CLOUD=my-project': 'the cloud of a user',
    'cinder-backup-certify cloud --set connect.history_count=5':
        'minutes of a cloud; tests/unit/test_history_tests.py has the tests '
        'that it adds, and "make benchmark-histories" runs them',
    'cinder-backup-certify local --backup in-tree-posix':
        'eight minutes; the report of a run is in doc/source/results',
    'cinder-backup-certify local --cinder 2025.2':
        'ten minutes, and a virtualenv; "make releases" runs a part of it',
    'python -m mutants clouds':
        'a cloud for many minutes; tests/unit/test_mutant_clouds.py has what '
        'it consists of',
    'tempest run --serial':
        'the same two runs are in certification/run/runner.py, which each '
        'certification runs',
    'openstack volume create --size 1 example':
        'as in the chapter for operators, with the other client',
    'openstack volume backup create example':
        'as in the chapter for operators, with the other client',
    'OS_REGION_NAME=RegionTwo openstack volume service list':
        'as in the chapter for operators, which works in both regions',
}


def _commands():
    """Each command of which some test must be known, with its page."""
    for path in [*pages.pages(), _ROOT / 'README.rst']:
        name = str(path.relative_to(
            pages.DOCUMENTS if pages.DOCUMENTS in path.parents else _ROOT))
        for block in pages.blocks(path):
            if block.what == 'console' and name in FOLLOWED:
                continue
            if block.kind == 'literal' or block.what in _LANGUAGES:
                for command in block.commands:
                    yield name, command


def _longest(command):
    """The entry that is about a command, the most exact one."""
    found = [one for one in (*RUN, *EXEMPT)
             if re.match(re.escape(one) + (
                 r'(?![\w.-])' if one[-1].isalnum() else ''), command)]
    return max(found, key=len, default=None)


class CommandsTest(testtools.TestCase):

    def test_each_is_known(self):
        """Put a new one into RUN or, with the reason, into EXEMPT."""
        self.assertEqual([], [one for one in _commands()
                              if _longest(one[1]) is None])

    def test_no_entry_is_of_yesterday(self):
        used = {_longest(command) for _, command in _commands()}
        self.assertEqual(set(), {*RUN, *EXEMPT} - used)
        self.assertEqual(set(), set(RUN) & set(EXEMPT))

    def test_installations(self):
        """Each in a page's text, too, is tested; no index has the project."""
        tested = (_ROOT / _WHEEL).read_text()
        for path in (*pages.pages(), _ROOT / 'README.rst'):
            text = ' '.join(path.read_text().split())
            for command in re.findall(r"pip install '\.\[[\w,-]+\]'", text):
                self.assertIn(f'printed = "{command}"', tested, path)
        self.assertEqual('', subprocess.run(
            ['git', 'grep', '-nF', 'cinder-backup-recovery-tests' + '['],
            cwd=_ROOT, capture_output=True, text=True).stdout)

    def test_tests_are_there(self):
        for page, test in FOLLOWED.items():
            self.assertTrue(
                pathlib.Path(page).name in (_ROOT / test).read_text(), test)
        for command, (test, part) in RUN.items():
            self.assertTrue(part in (_ROOT / test).read_text(),
                            f'{command}: no {part} in {test}')


class RecordPageTest(testtools.TestCase):
    """The format of records is described as it is."""

    def setUp(self):
        super().setUp()
        text = (pages.DOCUMENTS / 'reference' / 'record.rst').read_text()
        parts = re.split(r'^(.+)\n[=-]{4,}\n', text, flags=re.M)
        self.parts = dict(zip(parts[1::2], parts[2::2], strict=True))

    def described(self, heading):
        """The names in the first column of a table."""
        names = []
        for entry in re.findall(r'^   \* - (.+)$', self.parts[heading], re.M):
            names += [re.sub(r'[*`]', '', name) for name in entry.split(', ')]
        return set(names) - {'field'}

    def test_fields_of_cinder(self):
        objects.register_all()
        self.assertEqual(set(backup_objects.Backup.fields) - {'parent'},
                         self.described('The fields of Cinder'))

    def test_driver_info(self):
        common = self.described('``driver_info``')
        for heading, module in (
                ('Chunked storages: version 1', driver_info),
                ('Ceph: versions 1 and 2', ceph_driver_info)):
            self.assertIn(str(module.VERSION), heading)
            self.assertEqual({*module._FIELDS, *module._OPTIONAL},
                             common | self.described(heading))

    def test_what_an_import_demands(self):
        bold = set()
        for names in re.findall(r'^   \* - (\*\*.+)$',
                                self.parts['The fields of Cinder'], re.M):
            bold |= set(re.findall(r'\*\*(\w+)\*\*', names))
        # A record without it is accepted, and is not one of Cinder's.
        self.assertEqual(set(record._REQUIRED) - {'driver_info'}, bold)

    def test_pages_that_are_named_exist(self):
        """In code, messages, jobs and other pages."""
        found = subprocess.run(
            ['git', 'grep', '-noE', r'doc/source/[a-z0-9_/-]+\.[a-z]+'],
            cwd=_ROOT, capture_output=True, text=True, check=True)
        named = [line.rpartition(':') for line in found.stdout.splitlines()]
        self.assertGreater(len(named), 10)
        self.assertEqual([], [(place, page) for place, _, page in named
                              if not (_ROOT / page).exists()])
