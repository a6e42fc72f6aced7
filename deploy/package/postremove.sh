#!/bin/sh
# After a removal, of deb and rpm. The user stays: files may belong to it.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
