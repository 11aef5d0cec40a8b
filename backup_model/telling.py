# SPDX-License-Identifier: Apache-2.0

"""Tell a history to people: as a story, and as commands of the clients."""

from collections.abc import Sequence
import shlex
from typing import Any

from backup_model import engine
from backup_model import history
from backup_model import running

_STORY = {
    'create volume': 'creates volume {volume}, with blocks {content}',
    'write': 'volume {volume} gets blocks {content}',
    'snapshot': 'makes snapshot {snapshot} of volume {volume}',
    'extend': 'volume {volume} is extended by 1 GiB',
    'delete volume': 'volume {volume} is deleted',
    'attach': 'a server uses volume {volume}',
    'detach': 'no server uses volume {volume} any more',
    'transfer': 'volume {volume} is transferred to {project}',
    'set quota': 'sets the quota of {resource} of {project} to {limit}',
    'create backup': 'makes backup {backup} of volume {volume}',
    'rename': 'renames backup {backup} to {name!r}',
    'export': 'exports record {record} of backup {backup}',
    'lose rows': 'the rows of {backups} are lost',
    'lose database': 'the whole database is lost, and the services begin with '
                     'a new one',
    'ship': 'takes records {records} to a second site with what is stored of '
            'their backups, imports and restores them there',
    'import': 'imports record {record}',
    'restore': 'restores backup {backup}',
    'delete': 'deletes backup {backup}',
    'force delete': 'deletes backup {backup} by force',
    'reset status': 'sets the status of backup {backup} to {status}',
    'damage': 'a byte of {object} of backup {backup} changes',
    'remove': '{object} of backup {backup} is gone',
    'repair': 'the storage is as it was',
}
# What is damaged where the step has no number of an object.
_ALL_OBJECTS = {'damage': 'each stored object',
                'remove': 'the first stored object'}


def step(one: history.Step) -> str:
    """A step in a sentence."""
    arguments: dict[str, Any] = dict(one.arguments)
    inner = [step(history.Step.of_data(each))
             for each in arguments.get('steps', ())]
    if one.operation == 'at once':
        return f'at once: {"; and ".join(inner)}'
    if one.operation == 'killed':
        return f'{inner[0]}, and cinder-backup is killed meanwhile'
    if one.operation == 'away':
        return (f'{inner[0]}, and meanwhile the storage stops answering after '
                f'{arguments["after"]} accesses')
    if 'content' in arguments:
        arguments['content'] = ' '.join(
            '.' if block is None else str(block)
            for block in arguments['content'])
    if one.operation in _ALL_OBJECTS:
        arguments['object'] = (
            f'stored object {arguments["object"]}' if 'object' in arguments
            else _ALL_OBJECTS[one.operation])
    for name in {'backups', 'records'} & arguments.keys():
        arguments[name] = ', '.join(arguments[name])
    text = _STORY[one.operation].format(**arguments)
    if arguments.get('gib'):
        text += ' in its second GiB'
    if arguments.get('incremental'):
        text += ', incremental'
    if arguments.get('force'):
        text += ', by force'
    if one.operation == 'create backup' and 'snapshot' in arguments:
        text += f", from snapshot {arguments['snapshot']}"
    if 'container' in arguments:
        text += f", in container {arguments['container']}"
    if one.operation == 'restore' and 'volume' in arguments:
        text += f" onto volume {arguments['volume']}"
    if arguments.get('soft'):
        text += ', and are left as deleted'
    if 'service' in arguments:
        text += f" with {arguments['service']!r} for the service"
    if 'field' in arguments:
        text += f" with {arguments['value']!r} for {arguments['field']}"
    return f'{one.actor} {text}'.strip()


def story(failure: running.Failure) -> str:
    """The steps of a failure, numbered, and what came of them."""
    lines = [f'{number}. {step(one)}'
             for number, one in enumerate(failure.steps, 1)]
    return '\n'.join([*lines, f'=> {failure.broken}'])


def script(steps: Sequence[history.Step]) -> str:
    """The steps as a script for bash, with the clients of OpenStack.

    It asks for one cloud of clouds.yaml an actor, by the actor's name, for
    the command ``sql`` that changes Cinder's database, and for ``edit``,
    which changes a field of a record.
    """
    lines = ['#!/usr/bin/env bash', 'set -x', *_SETTLE]
    for number, one in enumerate(steps, 1):
        lines += ['', f'# {number}. {step(one)}', *_commands(one), 'settle']
    return '\n'.join(lines) + '\n'


# What was asked for is done when nothing is on its way any more.
_SETTLE = (
    'settle() {',
    '    while { openstack --os-cloud admin-1 volume backup list '
    '--all-projects -f value -c Status;',
    '            openstack --os-cloud admin-1 volume list --all-projects '
    '-f value -c Status; } |',
    "            grep -qE 'ing(-up|-backup)?$'; do",
    '        sleep 1',
    '    done',
    '}')


def _commands(one: history.Step) -> list[str]:
    arguments = one.arguments
    client = f'openstack --os-cloud {one.actor}'

    def made(name: str, rest: str) -> str:
        return f'{name}=$({client} {rest} -f value -c id)'

    match one.operation:
        case 'create volume':
            return [made(arguments['volume'],
                         f'volume create --size '
                         f'{len(arguments["content"]) // engine.BLOCKS} '
                         f'{arguments["volume"]}')]
        case 'snapshot':
            return [made(arguments['snapshot'],
                         f'volume snapshot create --volume '
                         f'${arguments["volume"]} {arguments["snapshot"]}')]
        case 'create backup':
            words = ['volume backup create']
            words += ['--incremental'] * bool(arguments.get('incremental'))
            words += ['--force'] * bool(arguments.get('force'))
            for name, value in arguments.get('metadata', {}).items():
                words.append(f'--property {shlex.quote(f"{name}={value}")}')
            words += [f'--{name} {shlex.quote(arguments[name])}'
                      for name in ('name', 'description') if name in arguments]
            if 'container' in arguments:
                words.append(f'--container {arguments["container"]}')
            if 'snapshot' in arguments:
                words.append(f'--snapshot ${arguments["snapshot"]}')
            words.append(f'${arguments["volume"]}')
            return [made(arguments['backup'], ' '.join(words))]
        case 'rename':
            return [f'{client} volume backup set --name '
                    f'{shlex.quote(arguments["name"])} '
                    f'${arguments["backup"]}']
        case 'export':
            return [f'{arguments["record"]}=$({client} volume backup record '
                    f'export ${arguments["backup"]} -f json)']
        case 'lose rows':
            statement = ('UPDATE backups SET deleted = 1, '
                         "status = 'deleted'" if arguments.get('soft') else
                         'DELETE FROM backups')
            return [f'sql "{statement} WHERE id = \'${name}\'"'
                    for name in arguments['backups']]
        case 'lose database':
            return ['# stop the services, make a new database with '
                    'cinder-manage db sync, start them']
        case 'import':
            record = f'"${arguments["record"]}"'
            service = shlex.quote(arguments['service']) if (
                'service' in arguments) else (
                    f'$(jq -r .backup_service <<< {record})')
            url = f'$(jq -r .backup_url <<< {record})'
            if 'field' in arguments:
                url = (f'$(edit {arguments["field"]} '
                       f'{shlex.quote(repr(arguments["value"]))} {url})')
            return [f'cinder --os-cloud {one.actor} backup-import '
                    f'{service} {url}']
        case 'restore':
            if 'volume' in arguments:
                return [f'{client} volume backup restore --force '
                        f'${arguments["backup"]} ${arguments["volume"]}']
            return [f'{client} volume backup restore '
                    f'${arguments["backup"]}']
        case 'delete' | 'force delete':
            force = '--force ' * (one.operation == 'force delete')
            return [f'{client} volume backup delete {force}'
                    f'${arguments["backup"]}']
        case 'reset status':
            return [f'{client} volume backup set --state '
                    f'{arguments["status"]} ${arguments["backup"]}']
        case 'at once':
            return [*(f'{command} &' for each in arguments['steps']
                      for command in _commands(history.Step.of_data(each))),
                    'wait']
        case 'killed':
            return [*_commands(history.Step.of_data(arguments['steps'][0])),
                    'pkill -KILL cinder-backup  # and start it again']
        case 'away':
            return ['# the storage stops answering now',
                    *_commands(history.Step.of_data(arguments['steps'][0])),
                    '# when it has ended, the storage answers again']
        case 'extend':
            size = (f'$(openstack volume show ${arguments["volume"]} '
                    f'-f value -c size)')
            return [f'openstack volume set --size $(({size} + 1)) '
                    f'${arguments["volume"]}']
        case 'attach' | 'detach':
            word = 'add' if one.operation == 'attach' else 'remove'
            return [f'openstack server {word} volume server '
                    f'${arguments["volume"]}']
        case 'transfer':
            volume = f'${arguments["volume"]}'
            return [f'transfer=$(openstack volume transfer request create '
                    f'{volume} -f json)',
                    f'openstack --os-cloud member-{arguments["project"][-1]} '
                    f'volume transfer request accept '
                    f'$(jq -r .id <<< "$transfer") --auth-key '
                    f'$(jq -r .auth_key <<< "$transfer")']
        case 'set quota':
            option = arguments['resource'].replace('_', '-')
            return [f'{client} quota set --{option} {arguments["limit"]} '
                    f'{arguments["project"]}']
        case 'delete volume':
            return [f'openstack volume delete --cascade '
                    f'${arguments["volume"]}']
    return ['# on the storage or in a server, by hand']
