# SPDX-License-Identifier: Apache-2.0

"""Options of the plugin that say how to connect, and what to use."""

from oslo_config import cfg

from cinder_backup_recovery_tests import deprecated

IMAGE = 'image'
ATTACHMENT = 'attachment'
RAW = 'raw'
QCOW2 = 'qcow2'

GROUP = cfg.OptGroup(
    name='cinder_backup_recovery',
    title='Backup recovery tests: how to connect and what to use')

# How the storage of the backups is reached without Cinder, to damage them.
_STORE: list[cfg.Opt] = [
    cfg.StrOpt(
        'backup_store',
        default='',
        help="Adapter that reaches the storage of the backups without "
             "Cinder and damages backups that the tests have made: "
             "filesystem, swift, s3 or rbd, the class of a vendor as "
             "module.Class, or an entry point in "
             "cinder_backup_recovery_tests.backup_stores. "
             "With the empty default every test of damage is skipped, and "
             "nothing shows that an import refuses a backup that cannot be "
             "restored."),
    cfg.DictOpt(
        'backup_store_options',
        default={},
        help="Arguments for the class of a vendor in backup_store, as "
             "name:value pairs with commas between them. Secrets do not "
             "belong here: the class reads them from the environment."),
    cfg.StrOpt(
        'backup_store_path',
        default='',
        help="Directory on this machine that holds the containers of the "
             "backups, for backup_store = filesystem: backup_posix_path of "
             "cinder.conf, or where the share of the backups is mounted. "
             "The tests must be allowed to write there."),
    cfg.StrOpt(
        'backup_store_s3_url',
        default='',
        help="Endpoint of the S3 server that holds the backups, for "
             "backup_store = s3: backup_s3_endpoint_url of cinder.conf. With "
             "the empty default boto3 chooses it, from its own environment "
             "or as Amazon's."),
    cfg.StrOpt(
        'backup_store_s3_access_key',
        secret=True,
        help="Access key of a user that may list, read, write and delete the "
             "objects of the backups, for backup_store = s3. Without it and "
             "backup_store_s3_secret_key boto3 searches its environment."),
    cfg.StrOpt(
        'backup_store_s3_secret_key',
        secret=True,
        help="Secret key of backup_store_s3_access_key."),
    cfg.StrOpt(
        'backup_store_ceph_conf',
        default='/etc/ceph/ceph.conf',
        help="Configuration of the Ceph cluster that holds the backups, for "
             "backup_store = rbd."),
    cfg.StrOpt(
        'backup_store_ceph_user',
        default='cinder-backup',
        help="Ceph user that may write to the pool of the backups, without "
             "'client.', for backup_store = rbd."),
    cfg.StrOpt(
        'backup_store_ceph_keyring',
        default='',
        help="Keyring of backup_store_ceph_user. Without it Ceph uses that of "
             "backup_store_ceph_conf."),
    cfg.StrOpt(
        'backup_store_ceph_pool',
        default='backups',
        help="Pool of the backups, for backup_store = rbd: backup_ceph_pool "
             "of cinder.conf. A backup in another pool is not touched, and "
             "the test fails."),
    cfg.StrOpt(
        'second_backup_store_path',
        default='',
        help="The same as backup_store_path, of the storage of the second "
             "region's own, for second_store. Backups are copied there."),
    cfg.StrOpt(
        'second_backup_store_region',
        default='',
        help="Region of the Swift to which backups are copied, for "
             "second_store and backup_store = swift. They go to the account "
             "of the tests' project there. With the empty default it is "
             "second_region."),
    cfg.StrOpt(
        'second_backup_store_s3_url',
        default='',
        help="The same as backup_store_s3_url, of the S3 to which backups "
             "are copied, for second_store. They go into buckets of the same "
             "names. With the empty default it is backup_store_s3_url, and "
             "the keys must be those of a user with buckets of its own."),
    cfg.StrOpt(
        'second_backup_store_s3_access_key',
        secret=True,
        help="The same as backup_store_s3_access_key, there."),
    cfg.StrOpt(
        'second_backup_store_s3_secret_key',
        secret=True,
        help="Secret key of second_backup_store_s3_access_key."),
]

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        'database_connection',
        secret=True,
        help="SQLAlchemy URL of Cinder's database, for instance "
             "mysql+pymysql://cinder:PASSWORD@HOST/cinder?charset=utf8. The "
             "tests of row loss delete and mark rows through it, and only "
             "rows of what they have created. Either this or row_command must "
             "be set, otherwise the run ends with an error before anything "
             "is created."),
    cfg.StrOpt(
        'row_command',
        help="Program that reads, deletes and restores rows where the "
             "database cannot be reached from here, for instance 'ssh "
             "controller cinder-backup-rows --config-file "
             "/etc/cinder/cinder.conf --trust-caller --project={project} "
             "{action} {what} {ids}'. {action} becomes state, save, hard, "
             "soft, restore or purge, {what} backup, volume or snapshot, "
             "{ids} their ids and {project} the project that they must "
             "belong to. It exits 0 only when all was done. No shell is used "
             "here. It is used instead of database_connection; with both set "
             "the run ends with an error."),
    cfg.IntOpt(
        'row_command_timeout',
        default=120,
        min=1,
        help="Seconds after which row_command is ended and the test fails."),
    *deprecated.OPTIONS,
    cfg.StrOpt(
        'database_loss_command',
        help="Program that replaces Cinder's database by a new, empty one "
             "with the schema, starts Cinder's services again and waits "
             "until they are up, then exits 0. No shell is used. It is run "
             "only with whole_database_loss, and only where every volume, "
             "snapshot and backup of the cloud is the tests' own: for a "
             "cloud that is thrown away."),
    cfg.IntOpt(
        'database_loss_timeout',
        default=300,
        min=1,
        help="Seconds after which database_loss_command is ended and the "
             "test fails."),
    cfg.StrOpt(
        'service_kill_command',
        help="Program that kills cinder-backup as a crash would, with "
             "SIGKILL, and exits 0. No shell is used. It is run only with "
             "service_kill, while no other test of this run is under way."),
    cfg.StrOpt(
        'service_start_command',
        help="Program that starts cinder-backup, waits until it is up and "
             "exits 0, also where it runs already. No shell is used."),
    cfg.StrOpt(
        'request_hold_command',
        default='',
        help="Program that makes requests wait inside Cinder between two "
             "steps, for a cloud that is made for tests, as the local cloud "
             "is: 'cinder-backup-local-cloud hold {action} {point} {id}'. No "
             "shell is used. {id} becomes the id of a backup of the tests', "
             "and only requests about it may be held. {point} becomes export "
             "or import (cinder-backup has taken the request and done "
             "nothing else) or import-request (the API has seen that there "
             "is no such backup, and has not made its row). {action} becomes "
             "arm, count, which prints how many requests are held, next, "
             "after which the first of them goes on, or release, after which "
             "all do. With the empty default the tests of what happens at "
             "such a moment try some times, and end in an error where they "
             "do not meet it. With request_hold there are more points: "
             "create, delete and restore are like import; create-request, "
             "delete-request and restore-request like import-request (the "
             "API has checked the statuses and changed none); create-data "
             "(cinder-backup has the device of the volume and has read "
             "nothing), delete-quota (it has marked the row deleted, and "
             "not given the quota back) and import-saved (it has written the "
             "fields of the record, and not the status). At those of create "
             "{id} is the id of a volume of the tests'."),
    cfg.IntOpt(
        'service_timeout',
        default=300,
        min=1,
        help="Seconds after which one of these programs, or one for the "
             "storage of the backups or the key manager, is ended and the "
             "test fails."),
    cfg.StrOpt(
        'store_stop_command',
        help="Program that stops the storage of the backups, as where "
             "its network or its servers fail, and exits 0: it stops the "
             "server or renames the directory, for example. No shell is "
             "used. It is run only with store_stop, while no other test of "
             "this run is under way."),
    cfg.StrOpt(
        'store_start_command',
        help="Program that starts the storage of the backups with its old "
             "content, waits until it answers and exits 0, also where it "
             "runs. No shell is used."),
    cfg.StrOpt(
        'store_pause_command',
        help="Program that makes the storage of the backups hang, and exits "
             "0: it takes requests and answers none, as where its disks or "
             "its servers are stuck. It stops the server's process with "
             "SIGSTOP, for example. No shell is used. It is run only with "
             "store_pause, while no other test of this run is under way."),
    cfg.StrOpt(
        'store_resume_command',
        help="Program that makes the storage of the backups answer again, "
             "waits until it does and exits 0, also where it never hung. No "
             "shell is used."),
    cfg.IntOpt(
        'store_hang_timeout',
        default=120,
        min=1,
        help="Seconds after which an import must have ended in an error "
             "while the storage hangs, for store_pause: what the driver is "
             "configured to wait for an answer, and some more."),
    cfg.StrOpt(
        'key_manager_stop_command',
        help="Program that stops the key manager, as where its servers fail, "
             "and exits 0. No shell is used. It is run only with "
             "key_manager_stop, while no other test of encrypted volumes in "
             "this run is under way."),
    cfg.StrOpt(
        'key_manager_start_command',
        help="Program that starts the key manager with its keys, waits until "
             "it answers and exits 0, also where it runs. No shell is used."),
    cfg.StrOpt(
        'second_backup_zone',
        default='',
        help="Availability zone in which a cinder-backup with another driver "
             "makes the backups, for second_backup_service. "
             "backup_use_same_host must be false, or Cinder chooses the "
             "volume's host."),
    cfg.StrOpt(
        'second_region',
        default='',
        help="Region with another Cinder, of the same Keystone, to which "
             "backups are shipped. Its volumes must be reached as those of "
             "[volume] region are."),
    cfg.StrOpt(
        'ledger_dir',
        help="Directory on this machine where everything that the tests "
             "create is recorded the moment it is created. Row removal "
             "refuses what is not recorded, and "
             "cinder-backup-recovery-cleanup removes from it what a killed "
             "run has left behind. It must be set, otherwise the run ends "
             "with an error. It is created when it does not exist."),
    cfg.StrOpt(
        'content_access',
        default=IMAGE,
        choices=[
            (IMAGE, "through Glance: volumes are created from images, "
                    "rewritten by os-reimage and uploaded to images. It "
                    "needs nothing on this machine but moves each volume "
                    "over the network."),
            (ATTACHMENT, "through an attachment that os-brick connects to "
                         "this machine. It needs os-brick, access to the "
                         "volumes' storage and often root."),
        ],
        help="How the content of a volume is written and read."),
    cfg.StrOpt(
        'image_format',
        default=RAW,
        choices=[
            (RAW, "the whole volume, byte for byte. Every cloud has it."),
            (QCOW2, "the data without its holes, which are most of a "
                    "volume here. Cinder needs qemu-img, and Glance "
                    "qcow2 in disk_formats; this machine needs room "
                    "for the data of a volume in TMPDIR."),
        ],
        help="Format of the images that content goes through, for "
             "content_access = image."),
    cfg.StrOpt(
        'backup_driver',
        default='',
        help="Class path of the backup driver that the cloud must use, or "
             "its beginning, for instance cinder.backup.drivers.ceph. A "
             "backup that another driver made fails the test, so that a "
             "result is never given to the wrong driver. With the empty "
             "default every driver is accepted."),
    cfg.FloatOpt(
        'poll_interval',
        default=1.0,
        min=0.01,
        help="Seconds between two polls of a status, at first; a long "
             "operation is polled less often, at up to ten times this "
             "interval. A smaller value shortens the run on a fast cloud and "
             "sends more requests to its API."),
    cfg.IntOpt(
        'wait_timeout',
        default=300,
        min=1,
        help="Seconds after which a volume, image, snapshot, attachment or "
             "the deletion of anything that is not finished fails the "
             "test."),
    cfg.IntOpt(
        'backup_timeout',
        default=600,
        min=1,
        help="Seconds after which a backup or an import of a record that is "
             "not finished fails the test."),
    cfg.IntOpt(
        'restore_timeout',
        default=600,
        min=1,
        help="Seconds after which a restore that is not finished fails the "
             "test."),
    cfg.IntOpt(
        'volume_size',
        default=1,
        min=1,
        help="GiB of the volumes that are backed up. A larger value makes "
             "more of a driver's objects and takes proportionally longer."),
    cfg.StrOpt(
        'name_prefix',
        default='backup-recovery',
        regex='^[A-Za-z0-9._-]{1,40}$',
        help="Prefix of the name of every resource that the tests create; "
             "the rest is unique for each run."),
    cfg.StrOpt(
        'connector_ip',
        default='127.0.0.1',
        help="Address of this machine as the storage sees it, for "
             "content_access = attachment. Drivers that export a volume to "
             "an address only (NFS, some iSCSI targets) refuse the "
             "attachment when it is wrong."),
    cfg.StrOpt(
        'connector_properties',
        default='full',
        choices=[
            ('full', "os-brick asks this machine for its iSCSI, Fibre "
                     "Channel and NVMe names; needs root_helper"),
            ('basic', "host name, address and platform only, which is "
                      "enough where volumes are files or RBD images; needs "
                      "no root"),
        ],
        help="Properties of this machine that the cloud gets, for "
             "content_access = attachment."),
    cfg.StrOpt(
        'root_helper',
        default='sudo',
        help="Command that runs os-brick's programs as root, for "
             "content_access = attachment. Volumes that are files or RBD "
             "images need none."),
    cfg.StrOpt(
        'rbd_keyring',
        default='',
        help="Keyring of the Ceph user that RBD volumes are attached with, "
             "for content_access = attachment. The cloud does not "
             "publish the key; without this, os-brick reads "
             "/etc/ceph/<cluster>.client.<user>.keyring."),
    cfg.StrOpt(
        'encrypted_volume_type',
        default='',
        help="Volume type with LUKS encryption and its key on the side of "
             "the host (control_location front-end), for encrypted_volumes. "
             "The second region needs one of that name with the same "
             "parameters, and the same key manager."),
    cfg.StrOpt(
        'fixed_key',
        secret=True,
        help="fixed_key of cinder.conf, where Cinder has one key for all "
             "volumes. Without it the keys are read from the key manager in "
             "the catalogue."),
    cfg.StrOpt(
        'openstack_command',
        default='',
        help="How python-openstackclient is called on this machine, for "
             "instance 'openstack' or the path of it. The account comes to "
             "it by variables. With the empty default the test of its "
             "commands for records is skipped."),
    cfg.ListOpt(
        'history_files',
        default=[],
        help="Paths of files with a history each, as cinder-backup-histories "
             "writes them for promises that were broken in one process. Each "
             "becomes a test, which carries it out on this cloud. One in "
             "which two requests meet or cinder-backup is killed is skipped "
             "without request_hold."),
    cfg.IntOpt(
        'history_count',
        default=0,
        min=0,
        max=1000,
        help="How many histories are drawn at random, each for a test of its "
             "own. With the default there is none: what one of them may find "
             "is new, and says more of Cinder than of the driver. One takes "
             "about a minute where a backup takes some seconds."),
    cfg.IntOpt(
        'history_seed',
        min=0,
        help="Draws the random histories of another run again. Without it "
             "each is of another seed, which its steps in the report name."),
    cfg.ListOpt(
        'known_defects',
        default=[],
        help="Names of defects of Cinder that this cloud is known to have; "
             "doc/source/reference/known-defects.rst lists them. A "
             "test that meets one of them ends as an expected failure, and is "
             "shown as one; otherwise it fails. A test fails also when a "
             "defect of this list no longer occurs. NAME@RELEASE "
             "declares one where cinder_release is that release, and all the "
             "defects that cinder_release, backup_driver and [volume] "
             "storage_protocol are known to have."),
    cfg.StrOpt(
        'cinder_release',
        default='',
        help="The release of Cinder that the cloud runs, 2026.2 for one, or "
             "master. A report names it where cinder_version is not set, and "
             "known_defects uses it: without it, an entry with a release and "
             "the entry all are refused."),
    cfg.StrOpt(
        'cinder_version',
        default='',
        help="The version of Cinder that the cloud runs, as cinder-manage "
             "--version prints it on a controller. A report names it, since "
             "no API does: with the empty default it names cinder_release, "
             "or only the newest version of the API."),
    *_STORE,
]
