#!/bin/sh
# packages.sh COMMAND:PACKAGE ...
# Installs the Debian package of each command that is missing. Needs root and apt-get; without
# them it says what is missing, and what needs it says "not run".
set -eu
missing=''
for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing packages:$missing (as root: apt-get install$missing)" >&2
    exit 0
fi
echo "Installing Debian packages:$missing" >&2
# A service must not start by being installed: this machine may have no init, or a port in use.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 -- a list of package names
apt-get install -y -qq --no-install-recommends $missing >/dev/null
