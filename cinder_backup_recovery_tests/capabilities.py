# SPDX-License-Identifier: Apache-2.0

"""Options of the plugin that say what the cloud can do."""

from oslo_config import cfg

# Levels of the check on import, the lowest first.
PRESENCE = 'presence'
CONTENT = 'content'
LEVELS = (PRESENCE, CONTENT)

GROUP = cfg.OptGroup(
    name='cinder_backup_recovery_feature_enabled',
    title='Backup recovery tests: what the cloud can do')

OPTIONS: list[cfg.Opt] = [
    cfg.BoolOpt(
        'row_loss_hard',
        default=True,
        help="Rows of backups may be deleted from the database. Otherwise "
             "every test of it is skipped, and nothing shows that a record "
             "recovers a backup of which nothing is left."),
    cfg.BoolOpt(
        'row_loss_soft',
        default=True,
        help="Rows of backups may be marked deleted. Otherwise every test "
             "of it is skipped; Cinder imports over such a row by other "
             "code than over a missing one."),
    cfg.BoolOpt(
        'source_row_loss',
        default=True,
        help="Rows of volumes and snapshots that the tests have made may be "
             "deleted or marked deleted for a while. They are restored "
             "unchanged, so that the volumes can be removed. Otherwise every "
             "test of it is skipped, and nothing shows that a backup "
             "survives its source."),
    cfg.BoolOpt(
        'whole_database_loss',
        default=False,
        help="The whole database of Cinder may be lost, by "
             "database_loss_command. Otherwise every test of it is "
             "skipped."),
    cfg.BoolOpt(
        'service_kill',
        default=False,
        help="cinder-backup may be killed and started again, by "
             "service_kill_command and service_start_command. Otherwise "
             "every test of it is skipped."),
    cfg.BoolOpt(
        'request_hold',
        default=False,
        help="Requests about backups can be held between two steps of "
             "Cinder, by request_hold_command at each of its points. "
             "Otherwise the histories in which requests meet or cinder-backup "
             "is killed are skipped: their results would depend on chance."),
    cfg.BoolOpt(
        'store_stop',
        default=False,
        help="The storage of the backups may be stopped and started, "
             "by store_stop_command and store_start_command. Otherwise every "
             "test of it is skipped."),
    cfg.BoolOpt(
        'store_pause',
        default=False,
        help="The storage of the backups may be made to hang, by "
             "store_pause_command and store_resume_command. Otherwise every "
             "test of it is skipped, and nothing shows that an import ends "
             "then."),
    cfg.BoolOpt(
        'second_backup_service',
        default=False,
        help="There are two cinder-backups with different drivers in this "
             "region, one of them in second_backup_zone. Otherwise nothing "
             "shows that a record finds the host that runs its driver."),
    cfg.BoolOpt(
        'second_region',
        default=False,
        help="There is another Cinder, in second_region, to which backups "
             "are shipped. Otherwise every test of shipping is skipped."),
    cfg.BoolOpt(
        'second_store',
        default=False,
        help="The other Cinder has its own storage of backups. The "
             "tests copy backups there through backup_store and the options "
             "second_backup_store_*, and destroy them at the first. "
             "Otherwise both must use one storage, and nothing is copied."),
    cfg.BoolOpt(
        'other_project',
        default=True,
        help="What one project has backed up can be read by the others, once "
             "its record is imported there. Otherwise the tests require "
             "that it is refused and unchanged. With Swift it depends: "
             "backup_swift_auth = per_user keeps backups in the account of "
             "their project."),
    cfg.BoolOpt(
        'encrypted_volumes',
        default=False,
        help="There are encrypted volumes, of encrypted_volume_type. They are "
             "written and read with their keys on this machine, which needs "
             "cryptsetup and content_access = attachment. Otherwise every "
             "test of them is skipped, and nothing shows that the backup of "
             "an encrypted volume can be read again."),
    cfg.BoolOpt(
        'separate_keys',
        default=True,
        help="Each encrypted volume and each backup of one has a key of its "
             "own, as with Barbican. Otherwise the tests of what becomes of "
             "keys are skipped, as with a fixed_key."),
    cfg.BoolOpt(
        'second_key_manager',
        default=False,
        help="The other Cinder has a key manager of its own, in "
             "second_region. The tests bring keys there, as an operator "
             "would. Otherwise both must use one, and nothing shows what an "
             "import does without its key."),
    cfg.BoolOpt(
        'key_manager_stop',
        default=False,
        help="The key manager may be stopped and started, by "
             "key_manager_stop_command and key_manager_start_command. Tests "
             "of plain volumes go on: [volume] volume_type must not be "
             "encrypted. Otherwise every test of it is skipped."),
    cfg.BoolOpt(
        'incremental',
        default=True,
        help="The backup driver makes incremental backups. Otherwise every "
             "test of a chain is skipped."),
    cfg.BoolOpt(
        'long_chains',
        default=True,
        help="The quota of a project has room for nine backups more: that of "
             "a new one is ten. Otherwise tests of a chain that is longer "
             "than three are skipped."),
    cfg.BoolOpt(
        'reimage',
        default=True,
        help="The volume driver can write an image into an existing volume "
             "(os-reimage, microversion 3.68) and the next incremental "
             "backup still builds on the former one. Otherwise, with "
             "content_access = image, tests that change the content of a "
             "volume are skipped. Ceph replaces the volume's image on "
             "os-reimage: set it to false there or use attachments."),
    cfg.BoolOpt(
        'image_upload',
        default=True,
        help="A volume can be uploaded to an image. It is the only way to "
             "read a volume with content_access = image, so that both "
             "together with false end the run with an error."),
    cfg.BoolOpt(
        'restore_to_existing_volume',
        default=True,
        help="A backup can be restored onto a volume that exists and holds "
             "data. Otherwise every test of it is skipped."),
    cfg.BoolOpt(
        'volume_properties',
        default=True,
        help="A restore to a new volume restores the properties of the "
             "original volume, the data of its image, and with them whether "
             "a server can boot from it. Otherwise they are not compared."),
    cfg.BoolOpt(
        'restore_keeps_excess',
        default=True,
        help="A restore onto a larger volume leaves what the volume holds "
             "past the end of the backup. Otherwise the tests require "
             "zeros after it, as Cinder's own driver for Ceph "
             "writes them with restore_discard_excess_bytes, its default."),
    cfg.BoolOpt(
        'import_verify',
        default=False,
        help="The backup driver reads the storage when a record is "
             "imported, and refuses a backup that cannot be restored. "
             "Otherwise every test of damage at import is skipped."),
    cfg.StrOpt(
        'import_verify_level',
        default=PRESENCE,
        choices=[
            (PRESENCE, "whether everything that a restore needs is on the "
                       "storage with the right length, its parents too"),
            (CONTENT, "also whether every byte reads back with its "
                      "checksum"),
        ],
        help="Level of the driver's check of an imported record, for "
             "import_verify. A damage that only a higher level can find is "
             "left out."),
]
