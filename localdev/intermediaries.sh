#!/bin/sh
# Makes sure that nginx and Varnish are there; installs them where that is possible without asking (Debian, as root),
# without starting the services that come with them.
set -eu

PATH=$PATH:/usr/sbin
are_there() { command -v nginx >/dev/null && command -v varnishd >/dev/null; }

are_there && exit
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    {
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx varnish
    } >/dev/null && are_there && exit
fi
echo 'missing: nginx and Varnish (Debian: apt-get install nginx varnish); SKIP_INTERMEDIARIES=1 goes without' >&2
exit 1
