#!/bin/sh
# After an installation or an upgrade, of deb and rpm. It starts nothing: a server without settings
# is of no use. It restarts nothing: a restart disconnects every client, so the operator says when.
set -e
systemd-sysusers wsify.conf
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	if systemctl --quiet is-active wsify.service; then
		echo "wsify runs on as it was. To upgrade it now: systemctl restart wsify"
	fi
fi
