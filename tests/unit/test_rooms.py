# SPDX-License-Identifier: Apache-2.0

"""Which room imports which, read from the code."""

import ast
import graphlib
import pathlib

import ddt
import fixtures
import testtools

_ROOT = pathlib.Path(__file__).parents[2]
_PLUGIN = 'cinder_backup_recovery_tests'

#: Each room, and what it may import of the project besides itself. The rooms
#: in the plugin are below it: it imports none of them.
ROOMS = {
    'backup_model': set(),
    'backup_recovery': {'backup_recovery.drill', 'backup_recovery.prove',
                        'backup_recovery.scan',
                        'reference_drivers.recovery_keys'},
    'backup_recovery.drill': {'backup_recovery', 'reference_drivers'},
    'backup_recovery.prove': {'backup_recovery', 'reference_drivers'},
    'backup_recovery.scan': {'backup_recovery', 'reference_drivers'},
    'backup_stores': set(),
    _PLUGIN: {'backup_model', 'backup_stores'},
    f'{_PLUGIN}.api': {_PLUGIN},
    f'{_PLUGIN}.scenario': {_PLUGIN, 'backup_model', 'backup_stores'},
    f'{_PLUGIN}.certification': {_PLUGIN, 'backup_model'},
    'reference_drivers': {'reference_drivers.recovery_keys'},
    'reference_drivers.contract': {'reference_drivers', 'backup_stores'},
    'reference_drivers.histories': {
        'reference_drivers', 'reference_drivers.contract', 'backup_model',
        'backup_stores'},
    'reference_drivers.recovery_keys': set(),
    'local_cloud': set(),
    'benchmarks': {_PLUGIN, f'{_PLUGIN}.certification', 'local_cloud',
                   'reference_drivers', 'reference_drivers.contract',
                   'reference_drivers.histories', 'backup_model'},
    'mutants': {_PLUGIN, f'{_PLUGIN}.certification', 'local_cloud',
                'reference_drivers', 'reference_drivers.contract',
                'reference_drivers.histories', 'backup_model',
                'backup_stores'},
}

#: Of other projects: what a room must run without.
WITHOUT = {
    'backup_model': {'cinder', 'tempest'},
    'backup_recovery': {'cinder', 'tempest'},
    'backup_recovery.drill': {'tempest'},
    'backup_recovery.prove': {'tempest'},
    'backup_recovery.scan': {'tempest'},
    'backup_stores': {'cinder', 'tempest'},
    _PLUGIN: {'cinder'},
    f'{_PLUGIN}.api': {'cinder'},
    f'{_PLUGIN}.scenario': {'cinder'},
    f'{_PLUGIN}.certification': {'cinder'},
    'reference_drivers': {'tempest'},
    'reference_drivers.contract': {'tempest'},
    'reference_drivers.histories': {'tempest'},
    'reference_drivers.recovery_keys': {'cinder', 'tempest'},
}


def room_of(module):
    """The innermost room of a module, None if it belongs to none."""
    return max((room for room in ROOMS
                if f'{module}.'.startswith(f'{room}.')), key=len, default=None)


def modules(root):
    """The files of all rooms, by the name of the module."""
    found = {}
    for top in sorted({room.partition('.')[0] for room in ROOMS}):
        for path in sorted((root / top).rglob('*.py')):
            parts = path.relative_to(root).with_suffix('').parts
            if parts[-1] == '__init__':
                parts = parts[:-1]
            found['.'.join(parts)] = path
    return found


def imported(path, known):
    """Yield the line and the name of each module that a file imports.

    :param path: the file
    :param known: the modules of the project, to tell a module in a package
        from another name in it
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f'{node.module}.{alias.name}'
                yield node.lineno, name if name in known else node.module


def breaches(root):
    """Describe each import that the rules do not allow."""
    known = modules(root)
    found = []
    for module, path in known.items():
        room = room_of(module)
        for line, name in imported(path, known):
            other = room_of(name)
            if (other not in {None, room, *ROOMS[room]} or
                    name.partition('.')[0] in WITHOUT.get(room, ())):
                found.append(f'{path.relative_to(root)}:{line}: {name}')
    return found


def circle(root):
    """Name the modules of a circle of imports, or return an empty list."""
    known = modules(root)
    graph = {}
    for module, path in known.items():
        graph[module] = {name for _, name in imported(path, known)
                         if name in known and name != module}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


class RoomsTest(testtools.TestCase):
    def test_rules_are_kept(self):
        self.assertEqual([], breaches(_ROOT))

    def test_no_circle(self):
        self.assertEqual([], circle(_ROOT))

    def test_each_room_exists(self):
        self.assertEqual(set(), {
            room for room in ROOMS if not (
                _ROOT / room.replace('.', '/') / '__init__.py').is_file()})


@ddt.ddt
class BreachTest(testtools.TestCase):
    """Each planted breach is found."""

    def plant(self, **files):
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name, text in files.items():
            path = root / f'{name.replace("__", "/")}.py'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    @ddt.data(*(
        (room, other) for room in ROOMS for other in ROOMS
        if other != room and other not in ROOMS[room]))
    @ddt.unpack
    def test_room(self, room, other):
        root = self.plant(**{
            f'{room.replace(".", "__")}__one': f'from {other} import two\n',
            f'{other.replace(".", "__")}__two': ''})
        self.assertEqual([f'{room.replace(".", "/")}/one.py:1: {other}.two'],
                         breaches(root))

    @ddt.data(*((room, name) for room, names in WITHOUT.items()
                for name in names))
    @ddt.unpack
    def test_other_project(self, room, name):
        root = self.plant(**{
            f'{room.replace(".", "__")}__one':
            f'def late():\n    import {name}.db\n'})
        self.assertEqual([f'{room.replace(".", "/")}/one.py:2: {name}.db'],
                         breaches(root))

    def test_circle(self):
        root = self.plant(mutants__one='from mutants import two\n',
                          mutants__two='import mutants.one\n')
        self.assertEqual({'mutants.one', 'mutants.two'}, set(circle(root)))
