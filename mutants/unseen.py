# SPDX-License-Identifier: Apache-2.0
"""The faulty drivers that no history can find, and why."""

from collections.abc import Mapping
from collections.abc import Sequence

#: Names of mutants, by what histories lack.
REASONS: Mapping[str, Sequence[str]] = {
    'hooks: no user of the API sees driver_info, the text of a record or the '
    'name in an error': (
        'records.ExportTellsTime',
        'records.InfoIsNoJson', 'records.CopiesMetadata',
        'records.ListsChunks', 'records.ListsParents',
        'records.ReadsAnyVersion', 'records.BelievesDigestOfChain',
        'records.NeedsNoInfo', 'records.NamesNothing',
        'records.TellsSecret'),
    'storage: what is not under the name of a backup is not looked at': (
        'records.ImportLeavesMark', 'restores.RestoreLeavesMark'),
    'rows: the API does not show this field': (
        'records.TakesTemporaryVolume',),
    'damage: that of a history changes the last byte of an object, which '
    'decompression finds, too, or removes one': (
        'verification.TrustsMetadata',
        'verification.TrustsLength',
        'verification.SkipsLastBlock',
        'verification.AcceptsExtra', 'verification.IgnoresLength',
        'verification.ForgetsStoredLength',
        'verification.AlwaysLooks'),
    'silence: no storage of a history stops or hangs': (
        'verification.SaysYesWhenInDoubt', 'verification.SaysYesAfterAWhile',
        'verification.WaitsForEver'),
    'size: no history has as many chunks, objects or parents': (
        'verification.VerifiesEightLinks', 'restores.ReadsOnePage',
        'restores.ForgetsMiddle', 'removal.DeletesAThousand'),
    'options: histories run with one configuration, and what zlib compressed '
    'has a checksum of its own': (
        'restores.ComparesNothing',
        'restores.AlwaysCompares', 'restores.KnowsOneCompression',
        'restores.DecompressesAsConfigured',
        'restores.CutsChunksAsConfigured'),
    'volumes: those of a history have one size and no properties': (
        'verification.RefusesTail', 'restores.BacksUpSectors',
        'restores.BacksUpWholeBlocks',
        'restores.CutsVolume', 'restores.GrowsVolume',
        'restores.LosesProperties', 'restores.GivesFirstProperties',
        'restores.ComposesProperties', 'restores.MakesBootable'),
    'records: no history draws such a one': (
        'records.TakesAnyContainer', 'verification.GoesInCircles',
        'removal.LeavesStore',
        'removal.AcceptsControlCharacters', 'removal.AcceptsEmptyPrefix',
        'removal.AcceptsAnyPrefix', 'removal.DeletesWhatRowNames'),
    "known: Cinder's own drivers do it, so that histories take it for the "
    'known defect deletion-of-parent': (
        'removal.DeletesParents', 'removal.DeletesParentsWithoutRows'),
    'the process: no user of the API sees its files and threads': (
        'leaks.LeavesFilesOpen', 'leaks.LeavesFilesOpenOnRefusal',
        'leaks.LeavesFilesOpenOnDelete', 'leaks.LeavesThreads',
        'leaks.LeavesTemporaryFiles'),
}


def reason(name: str) -> str:
    """Why histories cannot find a mutant, '' where they can."""
    return next((why for why, names in REASONS.items() if name in names), '')
