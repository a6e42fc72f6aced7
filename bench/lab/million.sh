#!/bin/bash
# million.sh holds a million connections in one wsify process (wsbench run -run million): on
# this machine where its limits allow it, else in a guest kernel that has limits of its own,
# booted by QEMU with software emulation of the processor.
set -euo pipefail

# From the environment: GUEST=yes takes a guest, whatever this machine allows. MEMORY is the guest's, in GiB.
connections=${CONNECTIONS:-1000000} minutes=${MINUTES:-60} memory=${MEMORY:-16} guest=${GUEST:-}
record=$(realpath -m "${RECORD:-$(dirname "$0")/../results/$(date -u +%F-%H%M)-million.json}")
die() { echo "million.sh: $*" >&2 && exit 1; }
for number in "$connections" "$minutes" "$memory"; do
	[[ $number =~ ^[1-9][0-9]*$ ]] || die "$number is not a number above zero"
done
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
lab=$PWD/bin/lab
mkdir -p "$lab/debian"
[[ ! -e $record ]] || die "$record exists; records are added, never edited"

available_mib() { awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo; }
CGO_ENABLED=0 go build -o "$lab/" ./cmd/wsify
(cd bench && CGO_ENABLED=0 go build -o "$lab/" ./wsbench)
# arguments SERVER RECORD REMARK sets the command line of wsbench.
arguments() {
	flags=(run -run million -server "$1" -connections "$connections" -out "$2" -timeout "$((minutes - 1))m" -remark "$3")
}

# Directly, where server and clients each may have a descriptor for every connection.
if [[ -z $guest ]] && { [[ $(ulimit -Hn) == unlimited ]] || (($(ulimit -Hn) > connections + 1000)); } &&
	(($(available_mib) > connections / 100)); then
	ulimit -n "$(ulimit -Hn)"
	arguments "$lab/wsify" "$record" "$connections connections, directly on the machine"
	exec "$lab/wsbench" "${flags[@]}"
fi
echo "million.sh: in a guest: a process here may have $(ulimit -Hn) descriptors, and $(available_mib) MiB are free"

[[ $(uname -m) == x86_64 ]] || die "the guest needs an x86_64 machine"
(($(available_mib) > memory * 1024 + 1024)) || die "the guest needs $((memory * 1024 + 1024)) MiB of memory (MEMORY), and $(available_mib) are free"

# fetch PACKAGE unpacks a Debian package into bin/lab; nothing is installed.
fetch() {
	(
		cd "$lab/debian"
		apt-get -q download "$1" || { apt-get -q update && apt-get -q download "$1"; }
		dpkg -x "$1"_*.deb . && rm -f "$1"_*.deb
	) >"$lab/apt.log" 2>&1 || die "$1 could not be fetched, see $lab/apt.log"
}
command -v qemu-system-x86_64 >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends qemu-system-x86 >"$lab/apt.log" 2>&1 ||
	die "qemu-system-x86 is missing, and could not be installed: see $lab/apt.log"
[[ -n $(find "$lab/debian" -path '*/bin/busybox' -type f) ]] || fetch busybox-static
[[ -n $(find "$lab/debian" -name 'vmlinuz-*') ]] ||
	fetch "$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-[0-9]/ && !n++ {print $2}')"
busybox=$(find "$lab/debian" -path '*/bin/busybox' -type f | head -n 1)
kernel=$(find "$lab/debian" -name 'vmlinuz-*' | head -n 1)

# What the guest has: busybox, both programs, and an init that runs one command line.
arguments /bin/wsify /record.json "$connections connections in a guest kernel: QEMU, software emulation, 2 processors, $memory GiB"
root=$lab/root
rm -rf "$root" && mkdir -p "$root"/{bin,proc,sys,dev,tmp}
cp "$busybox" "$lab/wsify" "$lab/wsbench" "$root/bin/"
cp bench/lab/guest-init.sh "$root/init" && chmod +x "$root/init"
printf '%s\n' /bin/wsbench "${flags[@]}" >"$root/command"
(cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null) >"$lab/root.cpio"
rm -rf "$root"

# The first serial port is the console, the second carries the record.
rm -f "$lab/port"
timeout -k 10 $((minutes * 60)) qemu-system-x86_64 -accel tcg,thread=multi,tb-size=512 -cpu max -smp 2 -m "${memory}G" \
	-kernel "$kernel" -initrd "$lab/root.cpio" \
	-append "console=ttyS0 rdinit=/init quiet panic=-1 mitigations=off nokaslr audit=0 nowatchdog tsc=reliable thash_entries=2097152 rcupdate.rcu_cpu_stall_suppress=1" \
	-display none -nodefaults -no-reboot -serial stdio -serial "file:$lab/port" </dev/null | tee "$lab/console.log"
[[ -s $lab/port ]] || die "the guest gave no record; its console is in $lab/console.log"
tr -d '\r' <"$lab/port" >"$lab/record.json"
[[ $(tail -n 1 "$lab/record.json") == '}' ]] || die "the record is cut off, see $lab/record.json"
mv -n "$lab/record.json" "$record"
echo "record: $record"
grep -q '^guest: exit 0' <(tr -d '\r' <"$lab/console.log") || die "wsbench did not end well"
