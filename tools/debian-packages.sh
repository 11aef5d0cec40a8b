#!/usr/bin/env bash
# Install the Debian packages that a part of the kit needs, or say which.
#
# usage: debian-packages.sh test
#
# Exits 0 also where nothing could be installed: what needs the packages says
# so itself, with the name of the package.
set -euo pipefail

usage() {
    sed -n '2,8s/^# \{0,1\}//p' "$0"
}

case "${1:-}" in
    test)
        # Real database servers, to lose rows in, a real broker, a real Ceph
        # with its gateway for S3, and a real NFS with a kernel that has a
        # client, should this one have none.
        packages=(mariadb-server postgresql rabbitmq-server
            ceph-mon ceph-osd ceph-common python3-rados python3-rbd radosgw
            nfs-ganesha nfs-ganesha-vfs nfs-common
            user-mode-linux kmod iproute2
            # What opens encrypted volumes.
            cryptsetup-bin
            # What Cinder makes images of qcow2 with.
            qemu-utils
            # The browser that opens the page of a report.
            chromium chromium-driver
            # Web servers in front of Cinder.
            apache2-bin nginx)
        # What hashes several blocks at a time; its name has a version.
        case "$(. /etc/os-release; echo "${VERSION_CODENAME:-}")-$(uname -m)" in
            bookworm-x86_64) packages+=(libipsec-mb1) ;;
            trixie-x86_64) packages+=(libipsec-mb2) ;;
        esac
        purpose='the tests on MariaDB, PostgreSQL, RabbitMQ, Ceph, S3 and '
        purpose+='NFS, in a browser and behind web servers'
        ;;
    -h|--help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 3
        ;;
esac

missing=()
for package in "${packages[@]}"; do
    if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
            grep -q 'install ok installed'; then
        missing+=("$package")
    fi
done
if [ "${#missing[@]}" -eq 0 ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "No apt-get here; ${purpose} are skipped without: ${missing[*]}" >&2
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Not root; ${purpose} are skipped. To have them:" >&2
    echo "    sudo apt-get install ${missing[*]}" >&2
    exit 0
fi

# The tests start servers of their own. What Debian would start after the
# installation is not wanted, and would not be stopped by anybody.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
echo "installing ${missing[*]}" >&2
if ! { apt-get update -q &&
        apt-get install -y -q --no-install-recommends "${missing[@]}"; } \
        > "$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "error: ${missing[*]} could not be installed; see above" >&2
    rm -f "$log"
    exit 3
fi
rm -f "$log"
