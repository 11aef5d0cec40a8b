# SPDX-License-Identifier: Apache-2.0
"""The defects that a user with the role member meets, and who finds them.

The faulty clouds and the faulty drivers of some modules, each run through the
tests of tenant mode that are meant for it. What such a user cannot see has its
reason here.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from mutants import catalogue

#: Of what makes, restores and deletes backups. All else is for records, which
#: are an administrator's, and for keys, which have a cloud with a key manager.
MODULES = ('restores', 'removal', 'clouds.restores', 'clouds.removal')

_SUITE = 'scenario.test_tenant.'
_FULL = f'{_SUITE}TenantFullTest'

#: Faulty drivers by the test that is meant for them; a faulty cloud names its
#: own.
FOUND_BY: Mapping[str, Sequence[str]] = {
    f'{_FULL}.test_restored_to_new_volume': (
        'restores.LosesProperties', 'restores.ComposesProperties',
        'restores.StopsEarly', 'restores.WritesAnotherVolume'),
    f'{_FULL}.test_restored_onto_existing_volume': (
        'restores.LeavesOldBytes',),
    f'{_FULL}.test_restored_onto_larger_volume': (
        'restores.CutsVolume', 'restores.GrowsVolume',
        'restores.WritesBehindTheEnd'),
    f'{_SUITE}TenantLargerTest.test_restored_behind_the_first_gib': (
        'restores.MakesBootable',),
    f'{_SUITE}TenantChainTest.test_each_restored_to_new_volume': (
        'restores.SkipsZeros', 'restores.ShiftsAfterHole',
        'restores.GivesFirstProperties', 'restores.RestoresParent',
        'restores.RestoresInWrongOrder', 'restores.RestoresNewest'),
    f'{_SUITE}TenantLongChainTest.test_newest_restored': (
        'restores.ForgetsMiddle',),
    f'{_SUITE}TenantBackupTest.test_parent_is_kept': (
        'removal.DeletesEverything', 'removal.DeletesOthersOfVolume',
        'removal.DeletesWithParent', 'removal.DeletesChecksumsOfParent'),
}

#: Names of mutants, by what such a user lacks.
UNSEEN: Mapping[str, Sequence[str]] = {
    'size: the volumes have 1 and 2 GiB, and a backup of one has less than a '
    'thousand objects; a user can choose larger ones': (
        'restores.CutsOffsets', 'restores.ReadsOnePage',
        'removal.DeletesAThousand'),
    'size: each volume is of whole GiB': (
        'restores.BacksUpSectors', 'restores.BacksUpWholeBlocks'),
    'options: the configuration is the operator\'s, and does not change': (
        'restores.KnowsOneCompression', 'restores.DecompressesAsConfigured',
        'restores.CutsChunksAsConfigured'),
    'damage: the storage is not open to users': (
        'restores.ComparesNothing', 'restores.AlwaysCompares',
        'restores.SaysItSucceeded', 'clouds.restores.hides_failure'),
    'storage: what is left there is not shown to users': (
        'restores.RestoreLeavesMark', 'removal.DeletesNothing',
        'removal.LeavesMetadata', 'clouds.removal.leaves_objects'),
    'rows: no user can delete those of a parent or a child': (
        'restores.RestoresOrphans', 'removal.DeletesParents',
        'removal.DeletesParentsWithoutRows',
        'clouds.restores.needs_no_parents',
        'clouds.removal.deletes_parents_of_lost'),
    'records: only an administrator imports one': (
        'removal.DeletesWhatRowNames', 'removal.LeavesStore',
        'removal.AcceptsEmptyPrefix', 'removal.AcceptsAnyPrefix',
        'removal.AcceptsControlCharacters',
        'clouds.removal.keeps_failed_imports'),
    'services: no user can stop one': ('clouds.restores.takes_up_nothing',),
    'types: one volume type is tested': (
        'clouds.restores.writes_to_own_type_only',),
}


def everything() -> list[catalogue.Mutant]:
    """All faulty drivers and faulty clouds of these modules."""
    return [one for one in (*catalogue.clouds(catalogue.DEFAULT),
                            *catalogue.drivers())
            if one.name.rpartition('.')[0] in MODULES]


def mutants() -> list[catalogue.Mutant]:
    """Those that can be seen, with the tests of tenant mode that must."""
    unseen = {name for names in UNSEEN.values() for name in names}
    tests = {name: test for test, names in FOUND_BY.items() for name in names}
    return [dataclasses.replace(one, meant=tuple(
        check for check in (tests.get(one.name), *one.meant)
        if check and is_check(check)))
        for one in everything() if one.name not in unseen]


def is_check(name: str) -> bool:
    """Check whether a test is one of tenant mode.

    Those of encrypted volumes have the faulty clouds of ``clouds.keys``.
    """
    return name.startswith(_SUITE) and not name.startswith(
        f'{_SUITE}TenantEncryptedTest.')
