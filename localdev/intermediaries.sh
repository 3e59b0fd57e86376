#!/bin/sh
# Makes sure that nginx and Varnish are there; installs them where that is possible without asking (Debian, as root),
# without starting the services that come with them.
set -eu

PATH=$PATH:/usr/sbin
are_there() { command -v nginx >/dev/null && command -v varnishd >/dev/null; }

are_there && exit
policy=/usr/sbin/policy-rc.d
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] && [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
"$(dirname "$0")/debian_packages.sh" nginx varnish && are_there && exit
echo 'missing: nginx and Varnish (Debian: apt-get install nginx varnish); SKIP_INTERMEDIARIES=1 goes without' >&2
exit 1
