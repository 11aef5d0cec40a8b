# SPDX-License-Identifier: Apache-2.0

"""Faults of the jobs that Zuul's schemas cannot find.

Zuul itself would say some of it, once the change is proposed; the rest would
be a job that is green and has shown nothing.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import pathlib
import re
from typing import Any

import yaml

from cinder_backup_recovery_tests.certification.verdict import tiers

ROOT = pathlib.Path(__file__).parents[1]
NAME = 'cinder-backup-recovery-tests'
_PREFIX = 'BACKUP_RECOVERY_'

#: Jobs of other projects that are parents here, with the file that has them.
PARENTS = {
    'base': 'opendev/base-jobs: zuul.d/jobs.yaml',
    'devstack-tempest': 'openstack/tempest: zuul.d/base.yaml',
    'openstack-tox': 'openstack/openstack-zuul-jobs: zuul.d/jobs.yaml',
    'openstack-tox-docs': 'openstack/openstack-zuul-jobs: zuul.d/jobs.yaml',
}
#: The same, of sets of nodes.
NODESETS = {
    'devstack-single-node-debian-trixie': 'openstack/devstack: .zuul.yaml',
    'openstack-single-node-noble': 'openstack/devstack: .zuul.yaml',
    'openstack-two-node-noble': 'openstack/devstack: .zuul.yaml',
    'ubuntu-noble': 'opendev/base-jobs: zuul.d/nodesets.yaml',
}
#: Variables of jobs that roles of other projects read.
VARIABLES = {
    'configure_swap_size': 'zuul/zuul-jobs: roles/configure-swap',
    'devstack_localrc': 'openstack/devstack: roles/write-devstack-local-conf',
    'devstack_plugins': 'openstack/devstack: roles/write-devstack-local-conf',
    'devstack_services':
        'openstack/devstack: roles/write-devstack-local-conf',
    'tox_envlist': 'zuul/zuul-jobs: roles/tox',
    'tox_extra_args': 'zuul/zuul-jobs: roles/tox',
}
#: Variables of local.conf that others than this project's plugin read.
LOCALRC = {
    'CINDER_BACKUP_DRIVER': 'openstack/devstack: lib/cinder',
    'CINDER_IMG_CACHE_ENABLED': 'openstack/devstack: lib/cinder',
    'DISABLE_CEPHADM_POST_DEPLOY':
        'openstack/devstack-plugin-ceph: devstack/lib/cephadm',
    'ENABLE_CEPH_MANILA':
        'openstack/devstack-plugin-ceph: devstack/override-defaults',
    'MYSQL_REDUCE_MEMORY': 'openstack/devstack: lib/databases/mysql',
}
#: What the job devstack-tempest has before this project's jobs, as far as the
#: plugin is concerned; in openstack/devstack: .zuul.yaml and
#: openstack/tempest: zuul.d/base.yaml.
DEVSTACK = {
    'devstack_localrc': {'DATABASE_PASSWORD': 'secretdatabase'},
    'devstack_services': {
        'base': False, 'etcd3': True, 'mysql': True, 'rabbit': True,
        'tls-proxy': True, 'key': True, 'g-api': True, 's-account': True,
        's-container': True, 's-object': True, 's-proxy': True,
        'c-api': True, 'c-bak': True, 'c-sch': True, 'c-vol': True,
        'horizon': False, 'tempest': True},
}
#: The same of the nodes that are not the first.
DEVSTACK_SUBNODE = {
    'devstack_localrc': {'DATABASE_PASSWORD': 'secretdatabase'},
    'devstack_services': {
        'base': False, 'tls-proxy': True, 'c-bak': True, 'c-vol': True,
        'horizon': False, 'tempest': False},
}
_PIPELINES = ('check', 'gate', 'experimental', 'periodic')


def load(path: pathlib.Path = ROOT / '.zuul.yaml') -> list[dict[str, Any]]:
    """Read the file, as text and numbers without Zuul's own classes."""
    return yaml.safe_load(path.read_text())


def problems(items: Iterable[dict[str, Any]],
             root: pathlib.Path = ROOT) -> list[str]:
    """Look at everything.

    :param root: where the playbooks and the plugin are
    """
    return list(_Configuration(items, root).problems())


def devstack_jobs(items: Iterable[dict[str, Any]]) -> list[str]:
    """Names of the jobs that stack a DevStack and run."""
    jobs = _Configuration(items, ROOT)
    return [name for name, job in jobs.jobs.items()
            if not job.get('abstract') and any(
                one.get('parent') == 'devstack-tempest'
                for one in jobs.line(name))]


def variables(items: Iterable[dict[str, Any]], name: str,
              group: str | None = None) -> dict[str, Any]:
    """Variables of a job, merged with its parents' as Zuul does.

    A dictionary is merged with the parent's of that name, key by key; all
    else takes the parent's place. Those of a group of nodes come last, as
    Ansible gives them precedence, where they replace and are not merged.
    """
    line = list(reversed(list(_Configuration(items, ROOT).line(name))))
    merged = DEVSTACK
    of_group: dict[str, Any] = DEVSTACK_SUBNODE
    for job in line:
        merged = _merged(merged, job.get('vars', {}))
        of_group = _merged(of_group,
                           job.get('group-vars', {}).get(group, {}))
    return {**merged, **of_group} if group else merged


def required(items: Iterable[dict[str, Any]], name: str) -> list[str]:
    """Short names of the projects that a job and its parents require."""
    projects = ['devstack', 'requirements']
    for job in reversed(list(_Configuration(items, ROOT).line(name))):
        for one in _list(job.get('required-projects')):
            project = one['name'] if isinstance(one, dict) else one
            if project.rpartition('/')[2] not in projects:
                projects.append(project.rpartition('/')[2])
    return projects


def local_conf(merged: dict[str, Any], projects: Iterable[str]) -> str:
    """Make the local.conf of a job, by the rules of DevStack's own role.

    Services come first, then the variables in the order of their names but
    after those that they refer to, then what is taken from Git, and the
    plugins last.

    :param merged: the job's variables
    :param projects: short names of what it requires
    """
    services = dict(merged.get('devstack_services', {}))
    services.pop('base', None)
    lines = ['[[local|localrc]]', 'disable_all_services']
    lines += [f'{"enable" if wanted else "disable"}_service {service}'
              for service, wanted in services.items()]
    values = {key: str(value) for key, value
              in merged.get('devstack_localrc', {}).items()}
    done: list[str] = []

    def add(key: str) -> None:
        for other in re.findall(r'\$\{?(\w+)', values[key]):
            if other in values and other != key:
                add(other)
        if key not in done:
            done.append(key)

    for key in sorted(values):
        add(key)
    lines += [f'{key}={values[key]}' if values[key].startswith('"') else
              f'{key}="{values[key]}"' for key in done]
    lines.append(f'LIBS_FROM_GIT={",".join(projects)}')
    lines += [f'enable_plugin {plugin} {url}' for plugin, url in sorted(
        merged.get('devstack_plugins', {}).items()) if url]
    return '\n'.join(lines) + '\n\n'


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {**old, **{
        key: _merged(old[key], value) if isinstance(value, dict) and
        isinstance(old.get(key), dict) else value
        for key, value in new.items()}}


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def recovery_tests() -> list[str]:
    """The ids of all tests of the plugin, as stestr lists them."""
    return [f'cinder_backup_recovery_tests.{name}[id-{uuid}]'
            for tier in tiers.load().tiers
            for uuid, names in tier.tests.items() for name in names]


def unit_tests() -> list[str]:
    """The modules of the tests of the kit itself."""
    return [f'{".".join(path.relative_to(ROOT).with_suffix("").parts)}.'
            for path in (ROOT / 'tests').rglob('test_*.py')]


class _Configuration:

    def __init__(self, items: Iterable[dict[str, Any]], root: pathlib.Path):
        self.root = root
        self.jobs: dict[str, dict[str, Any]] = {}
        self.projects = []
        self.nodesets = set(NODESETS)
        for item in items:
            for kind, value in item.items():
                if kind == 'job':
                    self.jobs[value['name']] = value
                elif kind == 'project':
                    self.projects.append(value)
                elif kind == 'nodeset':
                    self.nodesets.add(value['name'])
        self.plugin = '\n'.join(
            path.read_text() for path in sorted(
                (root / 'devstack').rglob('*')) if path.is_file())
        self.playbooks = '\n'.join(
            path.read_text() for path in sorted(
                (root / 'playbooks').rglob('*.yaml')))

    def problems(self) -> Iterator[str]:
        for name, job in self.jobs.items():
            for text in (*self._parent(job), *self._files(job),
                         *self._patterns(name, job), *self._plugins(name),
                         *self._variables(job), *self._report(name)):
                yield f'job {name}: {text}'
        yield from self._pipelines()

    def line(self, name: str) -> Iterator[dict[str, Any]]:
        """A job and its ancestors of this file, itself first."""
        seen = set()
        while name in self.jobs and name not in seen:
            seen.add(name)
            yield self.jobs[name]
            name = self.jobs[name].get('parent', '')

    def _parent(self, job: dict[str, Any]) -> Iterator[str]:
        parent = job.get('parent', 'base')
        if parent not in self.jobs and parent not in PARENTS:
            yield f'its parent {parent} is not known'
        nodeset = job.get('nodeset')
        if isinstance(nodeset, str) and nodeset not in self.nodesets:
            yield f'its nodeset {nodeset} is not known'

    def _files(self, job: dict[str, Any]) -> Iterator[str]:
        for key in ('pre-run', 'run', 'post-run', 'cleanup-run'):
            for one in _list(job.get(key)):
                path = one['name'] if isinstance(one, dict) else one
                if not (self.root / path).is_file():
                    yield f'its {key} {path} does not exist'

    def _patterns(self, name: str, job: dict[str, Any]) -> Iterator[str]:
        for key in ('files', 'irrelevant-files', 'branches'):
            for pattern in _list(job.get(key)):
                yield from self._compiled(key, pattern)
        variables = job.get('vars', {})
        for key in ('backup_recovery_regex', 'tempest_test_regex'):
            if key in variables:
                yield from self._selects(
                    key, variables[key], recovery_tests())
        arguments = variables.get('tox_extra_args', '').split()
        for pattern in arguments[arguments.index('--') + 1:] if (
                '--' in arguments) else ():
            yield from self._selects('tox_extra_args', pattern, unit_tests())

    def _compiled(self, key: str, pattern: Any) -> Iterator[str]:
        if isinstance(pattern, dict):
            pattern = pattern['regex']
        try:
            re.compile(pattern)
        except re.error as error:
            yield f'its {key} {pattern} is no regular expression: {error}'

    def _selects(self, key: str, pattern: str, tests: list[str]
                 ) -> Iterator[str]:
        wrong = list(self._compiled(key, pattern))
        yield from wrong
        if not wrong and not any(re.search(pattern, one) for one in tests):
            yield f'its {key} {pattern} selects none of {len(tests)} tests'

    def _plugins(self, name: str) -> Iterator[str]:
        """Projects that are not checked out, and so cloned unchanged."""
        wanted: set[str] = set()
        required: set[str] = set()
        for job in self.line(name):
            for scope in self._scopes(job):
                wanted |= scope.get('devstack_plugins', {}).keys()
                wanted |= set(scope.get('tempest_plugins', ()))
            required |= {
                (one['name'] if isinstance(one, dict) else one).rpartition(
                    '/')[2] for one in _list(job.get('required-projects'))}
        for plugin in sorted(wanted - required):
            yield f'its required-projects lack the plugin {plugin}'

    def _scopes(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        """All variables of a job, for whichever nodes."""
        return [job.get('vars', {}),
                *job.get('group-vars', {}).values(),
                *job.get('host-vars', {}).values()]

    def _variables(self, job: dict[str, Any]) -> Iterator[str]:
        for scope in self._scopes(job):
            for key in scope:
                if key not in VARIABLES and not re.search(
                        rf'\b{re.escape(key)}\b', self.playbooks):
                    yield f'its variable {key} is read by nothing'
            for key in scope.get('devstack_localrc', {}):
                if not self._read(key):
                    yield (f'its variable {key} of local.conf is read by '
                           f'nothing')

    def _read(self, key: str) -> bool:
        if not key.startswith(_PREFIX):
            return key in LOCALRC
        # Its default is where it is read first.
        return re.search(rf'\$\{{{re.escape(key)}:-', self.plugin) is not None

    def _report(self, name: str) -> Iterator[str]:
        """A job with a playbook of ours has a verdict, and shows it."""
        line = list(self.line(name))
        if not any('run' in job for job in line):
            return
        published = [one for job in line for one in _list(job.get('post-run'))
                     if (self.root / one).is_file()]
        if not any('zuul_return' in (self.root / one).read_text() and
                   'report.html' in (self.root / one).read_text()
                   for one in published):
            yield 'it publishes no report.html'
        if not any('backup_recovery_report_dir' in job.get('vars', {})
                   for job in line):
            yield 'it does not say backup_recovery_report_dir'

    def _pipelines(self) -> Iterator[str]:
        used: set[str] = set()
        for project in self.projects:
            for pipeline in _PIPELINES:
                for one in project.get(pipeline, {}).get('jobs', []):
                    name = one if isinstance(one, str) else next(iter(one))
                    used.add(name)
                    if name not in self.jobs and name not in PARENTS:
                        yield f'{pipeline}: job {name} is not known'
                    elif (pipeline == 'gate' and self.jobs.get(
                            name, {}).get('voting') is False):
                        yield (f'gate: job {name} does not vote, and only '
                               f'costs time')
        for name, job in self.jobs.items():
            if not job.get('abstract') and name not in used:
                yield f'job {name} is in no pipeline'
            if job.get('abstract') and name in used:
                yield f'job {name} is abstract, and in a pipeline'
