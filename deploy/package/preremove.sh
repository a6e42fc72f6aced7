#!/bin/sh
# Before a removal, of deb ("remove") and rpm (0 versions remain). An upgrade stops nothing.
set -e
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl --quiet disable --now wsify.service
	else # in a root that is not booted: the links only
		systemctl --quiet disable wsify.service
	fi
	;;
esac
