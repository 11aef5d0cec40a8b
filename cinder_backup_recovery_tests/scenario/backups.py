# SPDX-License-Identifier: Apache-2.0

"""Base of all scenarios: a backup or a chain of them, and their restores."""

from collections.abc import Mapping
import contextlib
import dataclasses
from typing import Any
from typing import Generic
from typing import TypeVar

from tempest import config

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests import tenant
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import compare
from cinder_backup_recovery_tests.content import layout as content_layout

CONF = config.CONF
MIB = 1024 * 1024

# Seeds: what is backed up, and what else lies where a restore writes.
OURS = 1
FOREIGN = 2

#: Given to the volumes that are backed up, and to be given back.
DESCRIBED: Mapping[str, Any] = {'metadata': {
    'purpose': 'test of recovery',
    # With an accent of its own, which a normal form would join.
    'owner': 'Rene\u0301e'}}

# Backups that the set-up of a class makes.
FULL = 'full'
PAIR = 'pair'
CHAIN = 'chain'


@dataclasses.dataclass(frozen=True)
class Made:
    """One backup, as it was made.

    :ivar volume: the properties of its volume when it was backed up
    """

    what: str
    layout: content_layout.Layout
    view: dict[str, Any]
    volume: dict[str, Any]

    @property
    def backup_id(self) -> str:
        """Id of the backup."""
        return self.view['id']

    @property
    def clears(self) -> bool:
        """True for an incremental backup with zeros where data was."""
        return self.view['is_incremental'] and any(
            extent.kind == content_layout.ZEROS
            for extent in self.layout.extents)


Made_ = TypeVar('Made_', bound=Made)


class BackupScenario(tenant.TenantTest, Generic[Made_]):
    """Base of the scenarios."""

    #: What the class backs up: FULL, as ``full``, or PAIR or CHAIN, as
    #: ``chain``. The volumes of FULL and CHAIN are removed.
    makes = ''

    full: Made_
    chain: list[Made_]

    @classmethod
    def resource_setup(cls) -> None:
        """Make the backups of the class."""
        super().resource_setup()
        if cls.makes == FULL:
            cls.full = cls.make_full(cls.layout(OURS))
        elif cls.makes == PAIR:
            cls.chain = cls.make_pair()
        elif cls.makes == CHAIN:
            _, cls.chain = cls.make_chain(remove_volume=True)

    @classmethod
    def make_backup(cls, volume_id: str, **kwargs: Any) -> str:
        """Back a volume up for all tests of the class."""
        return cls.class_resources.create_backup(volume_id, **kwargs)['id']

    @classmethod
    def link(cls, what: str, layout: content_layout.Layout,
             backup_id: str, volume: dict[str, Any] | None = None) -> Made_:
        """Look at a backup that is finished.

        :param volume: the properties of its volume at that moment, where they
            are others now
        """
        raise NotImplementedError

    @classmethod
    def properties(cls, volume_id: str) -> dict[str, Any]:
        """Return what a restore gives a new volume beside the content.

        Its name and description too, but for one whose name is asked for.
        """
        volume = cls.cloud.show(clients.VOLUME, volume_id)
        return {
            'bootable': volume['bootable'],
            'volume_image_metadata': volume.get('volume_image_metadata'),
            # One is of Cinder, for each volume that a backup was restored to.
            'metadata': {key: value for key, value in
                         volume['metadata'].items()
                         if key != 'src_backup_id'}}

    @classmethod
    def make_full(cls, layout: content_layout.Layout,
                  what: str = 'full backup', boots: bool = True) -> Made_:
        """Back up a new volume for all tests of the class, and remove it.

        :param boots: whether a volume of an image stays one that boots
        """
        return cls.make_fulls(1, layout, what, boots)[0]

    @classmethod
    def make_fulls(cls, number: int, layout: content_layout.Layout,
                   what: str = 'full backup', boots: bool = True
                   ) -> list[Made_]:
        """Back up a new volume so many times, and remove it."""
        volume_id = cls.class_content.create_volume(layout, **DESCRIBED)
        if not boots:
            cls.cloud.make_data_volume(volume_id)
        links = [cls.link(what, layout, cls.make_backup(volume_id))
                 for _ in range(number)]
        cls.class_resources.remove(clients.VOLUME, volume_id)
        return links

    @classmethod
    def make_chain(cls, remove_volume: bool = False
                   ) -> tuple[str, list[Made_]]:
        """Back a volume up three times, with changes in between.

        Data is overwritten with data and with zeros, zeros with data, and
        most of it is left alone; a block that one backup changes the next
        one changes again, and another one it leaves.

        :param remove_volume: whether the volume goes when all is made
        :returns: id of the source volume, and the chain
        """
        size = cls.size_bytes
        first = cls.layout(OURS).overwrite(16 * MIB, 4 * MIB)
        second = (first.overwrite(17 * MIB, MIB)
                  .zero(18 * MIB, MIB)
                  .overwrite(size // 4, MIB))
        third = (second.zero(17 * MIB, MIB // 2)
                 .overwrite(18 * MIB + MIB // 2, MIB // 2)
                 .overwrite(19 * MIB + 4096, 512)
                 .zero(size // 4 + MIB // 2, MIB // 4))
        volume_id = cls.class_content.create_volume(first, **DESCRIBED)
        backup_ids = [cls.make_backup(volume_id)]
        # An image that is written into a volume leaves its data there.
        volumes = [cls.properties(volume_id)]
        for former, layout in ((first, second), (second, third)):
            cls.class_content.rewrite(volume_id, layout,
                                      since=former.generation)
            # The properties change with the content.
            cls.cloud.volumes.create_volume_metadata(
                volume_id, {'generation': str(layout.generation)})
            parent_id = backup_ids[-1]
            backup_ids.append(cls.make_backup(volume_id, incremental=True))
            volumes.append(cls.properties(volume_id))
            cls.wait_for_child_of(parent_id)
        names = ('full backup', 'first incremental backup',
                 'second incremental backup')
        chain = [
            cls.link(*parts) for parts in zip(
                names, (first, second, third), backup_ids, volumes,
                strict=True)]
        if remove_volume:
            cls.class_resources.remove(clients.VOLUME, volume_id)
        return volume_id, chain

    @classmethod
    def make_pair(cls, content: access.VolumeContent | None = None,
                  size_bytes: int | None = None, **kwargs: Any
                  ) -> list[Made_]:
        """Back up a volume, and again after a change of a part.

        :param content: access to it; None for that of the class
        :param size_bytes: of its layout; None for that of the class
        :param kwargs: fields of the request for the volume
        """
        content = content or cls.class_content
        first = cls.layout(OURS, size_bytes).overwrite(16 * MIB, MIB)
        second = first.overwrite(16 * MIB, MIB // 2)
        volume_id = content.create_volume(first, **DESCRIBED, **kwargs)
        full_id = cls.make_backup(volume_id)
        volume = cls.properties(volume_id)
        content.rewrite(volume_id, second, since=first.generation)
        child_id = cls.make_backup(volume_id, incremental=True)
        return [
            cls.link('full backup', first, full_id, volume),
            cls.link('incremental backup', second, child_id)]

    @classmethod
    def make_larger(cls) -> Made_:
        """Back up a volume with data over each GiB and up to its end."""
        # One of 2 GiB at least: all others have the size of the option.
        size = cls.size_bytes + access.GIB
        layout = cls.layout(OURS, size)
        for edge in range(access.GIB, size, access.GIB):
            # Zeros on both sides: no chunk is full.
            layout = layout.overwrite(edge - 4096, 8192)
        return cls.make_full(layout, 'backup of a larger volume', boots=False)

    @classmethod
    def wait_for_child_of(cls, parent_id: str) -> None:
        """Wait until a parent knows of its child.

        The child is available before that, and a record of the parent would
        describe one without children.
        """
        waiters.wait_until(
            lambda: cls.cloud.show(clients.BACKUP, parent_id)[
                'has_dependent_backups'],
            f'backup {parent_id} does not show that an incremental one was '
            f'made on it', cls.patience)

    def restore_and_compare(self, link: Made,
                            onto: str | None = None,
                            history: tuple[content_layout.Layout, ...] = ()
                            ) -> None:
        """Restore a backup and compare every byte with the original.

        :param onto: an existing volume; None makes a new one
        :param history: other contents by which a difference is named
        """
        volume_id = self.resources.restore(link.backup_id, onto)
        with self.zeros_restored(link, onto):
            self.assert_content(
                volume_id, link.layout,
                f'{link.what} {link.backup_id}, restored', history)
        if onto is None:
            if CONF.cinder_backup_recovery_feature_enabled.volume_properties:
                with self.story.step(f'compare the properties of volume '
                                     f'{volume_id}'):
                    self.assertEqual(link.volume, self.properties(volume_id))
            # Room for the next one: volumes are large.
            self.resources.remove(clients.VOLUME, volume_id)

    def create_and_compare(self, link: Made) -> None:
        """Make a new volume of a backup, in one request, and compare it."""
        volume_id = self.resources.create_volume(
            size=link.view['size'], backup_id=link.backup_id)['id']
        self.assert_content(
            volume_id, link.layout,
            f'{link.what} {link.backup_id}, made into a volume')

    def restore_onto_larger(self, link: Made) -> None:
        """Restore a backup onto a larger volume, and compare all of that.

        What is past the end of the backup stays, or becomes zeros with a
        driver that says so.
        """
        size = link.layout.size_bytes
        larger = self.foreign_layout(FOREIGN).resized(
            size + access.GIB).overwrite(size, MIB)
        target_id = self.content.create_volume(larger)
        self.resources.restore(link.backup_id, target_id)
        with self.story.step(f'each of the {larger.size_bytes} bytes of '
                             f'volume {target_id} is the right one',
                             facts.COMPARE):
            keeps = (CONF.cinder_backup_recovery_feature_enabled.
                     restore_keeps_excess)
            rest = larger if keeps else larger.zero(size, access.GIB)
            with self.content.read(target_id) as stream:
                comparison = compare.compare_two(link.layout, rest, stream)
            with self.known_defect(
                    'restore-cuts-files', shows=keeps,
                    looks=lambda _: comparison.counts.keys() <= {
                        compare.TRUNCATED, compare.ZEROED} and
                    comparison.differences[0].offset >= size):
                comparison.raise_if_different(
                    f'larger volume {target_id}, onto which backup '
                    f'{link.backup_id} was restored')

    def zeros_restored(self, link: Made, onto: str | None = None
                       ) -> contextlib.AbstractContextManager[None]:
        """Check the zeros of a restored chain.

        Old drivers leave them out on a new volume: a known defect. Its symptom
        is unique, so it excuses no other wrong byte.
        """
        if onto is not None or not link.clears:
            return contextlib.nullcontext()
        return self.known_defect(
            'zeros-of-incremental',
            looks=lambda exc: isinstance(exc, exceptions.ContentMismatch) and
            exc.kinds == {compare.UNCLEARED})
