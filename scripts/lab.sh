#!/bin/sh
# lab.sh
# Makes the Debian roots that tests/lab boots as hosts, and prints the folder that holds them: it
# lies in a cache outside the checkout, is named by this file's hash, and is made once.
# What cannot be made here is said on stderr, and the tests that need it say "not run".
# ADVISOR_CACHE names another cache.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
place=${ADVISOR_CACHE:-$HOME/.cache/advisor}/lab/$(sha256sum "$here/lab.sh" | cut -c1-12)
mkdir -p "$place"
# Two that make the same would spoil each other's; a lock ends with its holder.
exec 9>"$place/lock"
flock 9

packages=systemd,systemd-sysv,dbus,openssh-server,sudo,nginx,caddy,redis-server,python3,python3-venv
packages=$packages,curl,iproute2,openssl,procps,prometheus,python3-apt
# One Gunicorn of the demo's range. async-timeout is what redis needs on bookworm's Python 3.11.2 and
# not on a newer one, which pip download judges by the Python that it runs on.
pythons='gunicorn==23.0.0 uvicorn[standard]==0.54.0 uvicorn-worker==0.4.0 fastapi==0.165.0
    flask==3.1.3 celery[redis]==5.7.0 rq==3.0.0 async-timeout==5.0.1'

# base CODENAME: makes a base unless it is whole. No `set -e` holds inside an `if`, so that the
# steps below are chained.
base() {
    if [ ! -e "$place/$1.made" ]; then
        echo "Making $1 in $place" >&2
        rm -rf --one-file-system "${place:?}/$1"
        if { debian "$1" && services && people && shelf && environment; } >"$place/$1.log" 2>&1; then
            touch "$place/$1.made"
        else
            echo "Not made: $1; see $place/$1.log" >&2
        fi
    fi
}

# The release, from the mirror that this machine's apt uses.
debian() {
    root=$place/$1
    [ "$(id -u)" -eq 0 ] && command -v debootstrap >/dev/null &&
        codename=$(. /etc/os-release && echo "$VERSION_CODENAME") &&
        mirror=$(apt-get indextargets --format '$(RELEASE) $(SITE)' |
            sed -n "s/^$codename //p" | head -n 1) &&
        debootstrap --variant=minbase --include="$packages" "$1" "$root" "$mirror"
}

# A test starts the daemons that it wants; nothing runs by the calendar.
services() {
    chroot "$root" systemctl disable nginx caddy redis-server prometheus \
        apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer
}

# `admin` may become root, as an administrator's account does; keys come with each session.
people() {
    chroot "$root" useradd --create-home --shell /bin/bash admin &&
        echo 'admin ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/admin" &&
        chmod 440 "$root/etc/sudoers.d/admin"
}

# apt works without a network: the packages that made the base stay in it as its only repository.
shelf() {
    mkdir -p "$root/srv/apt" &&
        mv "$root"/var/cache/apt/archives/*.deb "$root/srv/apt/" &&
        for deb in "$root"/srv/apt/*.deb; do
            dpkg-deb --field "$deb" &&
                echo "Filename: ./${deb##*/}" &&
                echo "Size: $(stat -c %s "$deb")" &&
                echo "SHA256: $(sha256sum "$deb" | cut -d ' ' -f 1)" &&
                echo || return 1
        done >"$root/Packages" &&
        mv "$root/Packages" "$root/srv/apt/Packages" &&
        rm -rf "$root"/etc/apt/sources.list.d/* "$root"/var/lib/apt/lists/* &&
        echo 'deb [trusted=yes] file:/srv/apt ./' >"$root/etc/apt/sources.list" &&
        chroot "$root" apt-get update
}

# The environment of the sample apps, with the base's own Python. The checkout's pip fetches, with
# this machine's settings; the base's pip installs, without a network.
environment() {
    version=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])') &&
        machine=$(uname -m) &&
        # shellcheck disable=SC2086 -- a list of requirements
        "$here/../.venv/bin/pip" download --quiet --disable-pip-version-check \
            --dest "$root/srv/wheels" --only-binary=:all: --implementation cp \
            --python-version "$version" --platform "manylinux_2_28_$machine" \
            --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" $pythons &&
        chroot "$root" python3 -m venv /srv/venv &&
        # shellcheck disable=SC2086 -- a list of requirements
        chroot "$root" /srv/venv/bin/pip --isolated --disable-pip-version-check \
            install --quiet --no-index --find-links /srv/wheels $pythons &&
        rm -rf "$root/srv/wheels"
}

for codename in bookworm trixie; do
    base "$codename" &
done
wait
echo "$place"
