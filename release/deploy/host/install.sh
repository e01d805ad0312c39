#!/bin/sh
# Prepare a host, or bring it up to date: folders, settings, proxy. Run as root; repeating it is harmless.
# usage: release/deploy/host/install.sh REPOSITORY [ROOT]     (another ROOT than / only writes the files)
set -eu
repository=${1:?repository that images come from, without tag}
root=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
configuration=$root/opt/credit-pd/release/deploy/host/haproxy.cfg
unit=$root/etc/systemd/system/haproxy.service.d/credit-pd.conf

# The proxy must not lose connections for nothing: a restart is for another unit only.
proxy=keep
cmp -s "$here/haproxy.cfg" "$configuration" || proxy=reload
cmp -s "$here/haproxy.service.d.conf" "$unit" || proxy=restart

install -d -m 0755 "$root/opt/credit-pd/release/deploy/host" "$root/etc/systemd/system/haproxy.service.d"
install -d -m 0750 "$root/etc/credit-pd" "$root/var/lib/credit-pd/state" "$root/var/lib/credit-pd/ledger"
install -m 0644 "$here/../../__init__.py" "$root/opt/credit-pd/release/"
install -m 0644 "$here/../__init__.py" "$root/opt/credit-pd/release/deploy/"
install -m 0644 "$here"/*.py "$root/opt/credit-pd/release/deploy/host/"

# What an operator may have changed stays.
etc=$root/etc/credit-pd
state=$root/var/lib/credit-pd/state
if [ ! -e "$etc/host.env" ]; then
    sed "s|^CREDIT_PD_REPOSITORY=.*|CREDIT_PD_REPOSITORY=$repository|" "$here/host.env" >"$etc/host.env.new"
    mv "$etc/host.env.new" "$etc/host.env"
fi
[ -e "$etc/service.env" ] || (umask 077 && cp "$here/service.env" "$etc/service.env")
[ -e "$state/live.map" ] || printf 'live none\nshare 0\ncanary none\n' >"$state/live.map"
# Until the real certificate is put in its place, so that the proxy can start.
if [ ! -e "$etc/tls.pem" ]; then
    (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj "/CN=$(uname -n)" -keyout "$etc/tls.pem.new" -out "$etc/tls.crt.new" 2>/dev/null)
    cat "$etc/tls.crt.new" >>"$etc/tls.pem.new"
    mv "$etc/tls.pem.new" "$etc/tls.pem"
    rm "$etc/tls.crt.new"
fi

install -m 0644 "$here/haproxy.cfg" "$configuration"
install -m 0644 "$here/haproxy.service.d.conf" "$unit"
if [ -z "$root" ]; then
    systemctl daemon-reload
    systemctl enable --now docker haproxy
    [ "$proxy" = keep ] || systemctl "$proxy" haproxy
fi
echo "proxy: $proxy"
