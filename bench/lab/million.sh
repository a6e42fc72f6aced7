#!/bin/bash
# million.sh holds a million live connections in one wsify process and measures
# them (wsbench -run million). Where the machine's limits do not allow it, it boots
# a guest kernel that has its own: QEMU, with software emulation of the processor.
set -euo pipefail

usage() {
	cat <<-END
		million.sh [-n CONNECTIONS] [-t MINUTES] [-m GIB] [-c CPUS] [-o RECORD] [-g | -d] [-- FLAG...]
		  -n  connections, all in one wsify process (1000000)
		  -t  give up after so many minutes (45)
		  -m  memory of the guest in GiB (16)
		  -c  processors of the guest (2)
		  -o  record to write, a new file (bench/results/DATE-million.json)
		  -g  in a guest, whatever this machine allows
		  -d  directly on this machine, or not at all
		  --  further flags of wsbench
		What it builds, fetches and logs is kept in bin/lab. LAB_KERNEL and LAB_BUSYBOX name a
		kernel image and a static busybox to use instead of Debian's.
	END
}

connections=1000000 minutes=45 memory=16 cpus=2 record='' where=auto
while getopts n:t:m:c:o:gdh option; do
	case $option in
	n) connections=$OPTARG ;;
	t) minutes=$OPTARG ;;
	m) memory=$OPTARG ;;
	c) cpus=$OPTARG ;;
	o) record=$OPTARG ;;
	g) where=guest ;;
	d) where=direct ;;
	h) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
done
shift $((OPTIND - 1))

say() { echo "million: $*"; }
die() {
	echo "million: $*" >&2
	exit 1
}

for number in "$connections" "$minutes" "$memory" "$cpus"; do
	[[ $number =~ ^[1-9][0-9]*$ ]] || die "$number is not a number above zero"
done
case $record in
'' | /*) ;;
*/*) record=$PWD/$record ;;
*) record=bench/results/$record ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
lab=$PWD/bin/lab
mkdir -p "$lab"
if [[ -z $record ]]; then
	record=bench/results/$(date -u +%F)-million.json
	[[ ! -e $record ]] || record=bench/results/$(date -u +%F-%H%M%S)-million.json
fi
[[ ! -e $record ]] || die "$record exists; records are added, never edited (-o names another)"

# ---- what the machine allows

per_connection=10240 # bytes of memory, both ends, with what a publication has on its way
spare=1000           # descriptors beside connections
files=$((connections + spare))

kernel_setting() { cat "/proc/sys/${1//.//}" 2>/dev/null || echo 0; }
available_mib() { awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo; }

missing=() # reasons why it cannot run directly
changed=() # settings that were raised, to be put back

# raise SETTING LEAST raises a setting of the kernel, where root may.
raise() {
	local now
	now=$(kernel_setting "$1")
	((now < $2)) || return 0
	if [[ -w /proc/sys/${1//.//} ]] && echo "$2" 2>/dev/null >"/proc/sys/${1//.//}"; then
		changed+=("$1=$now")
	else
		missing+=("$1 is $now and has to be $2")
	fi
}

put_back() {
	local setting
	for setting in "${changed[@]}"; do
		echo "${setting#*=}" >"/proc/sys/$(tr . / <<<"${setting%%=*}")" || true
	done
	changed=()
}

# look_around tries to raise the limits, and fills missing.
look_around() {
	local need=$((connections * per_connection / 1048576 + 512)) hard
	if (($(available_mib) < need)); then
		missing+=("$(available_mib) MiB of memory are available and $need are needed")
	fi
	raise fs.nr_open "$files"
	raise fs.file-max $((2 * connections + 100 * spare))
	hard=$(ulimit -Hn)
	if [[ $hard != unlimited ]] && ((hard < files)) && ! ulimit -Hn "$files" 2>/dev/null; then
		missing+=("the hard limit of descriptors (ulimit -Hn) is $hard and has to be $files")
	fi
	if [[ -e /proc/sys/net/netfilter/nf_conntrack_max ]]; then
		raise net.netfilter.nf_conntrack_max $((connections + 100 * spare))
	fi
}

# ---- what runs, here or there

build() {
	say "building static wsify and wsbench"
	CGO_ENABLED=0 go build -o "$lab/" ./cmd/wsify ./bench/wsbench
}

commit() {
	local name
	name=$(git rev-parse --short=12 HEAD 2>/dev/null) || { echo unknown && return; }
	[[ -z $(git status --porcelain --untracked-files=no) ]] || name+=+
	echo "$name"
}

host_facts() {
	local model
	model=$(awk -F': *' '/^model name/ {print $2; exit}' /proc/cpuinfo)
	echo "${model:-unknown}, $(nproc) cores, Linux $(uname -r), $(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo) MiB," \
		"$(ulimit -Hn) descriptors, load $(cut -d' ' -f1-3 /proc/loadavg)"
}

# arguments SERVER RECORD SECONDS REMARK FLAG... sets the command line of wsbench.
arguments() {
	local server=$1 to=$2 seconds=$3 remark=$4
	shift 4
	flags=(-run million -server "$server" -connections "$connections" -threads 2 -json "$to" -timeout "${seconds}s"
		-settle-max 60s -commit "$(commit)" -remark "$remark" "$@")
}

run_directly() {
	say "directly on this machine, at most $minutes minutes"
	build
	arguments "$lab/wsify" "$record" $((minutes * 60)) "directly on the machine" "$@"
	watch "$lab/wsbench" "${flags[@]}"
}

# watch COMMAND... runs it in the background, so that a signal is acted on at once,
# and for no longer than -t says.
watch() {
	setpriv --pdeathsig TERM timeout -k 10 $((minutes * 60)) "$@" </dev/null &
	running=$!
	local code=0
	wait "$running" || code=$?
	running=
	((code != 124 && code != 137)) || die "stopped after $minutes minutes"
	return "$code"
}

running= # the process that does the work
showing= # the one that shows its console
clean_up() {
	local process
	for process in $running $showing; do
		kill "$process" 2>/dev/null || true
		wait "$process" 2>/dev/null || true
	done
	put_back
	rm -rf "$lab/root" "$lab/root.cpio" "$lab/port"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- the guest

as_root() { ((EUID == 0)); }

# fetch PACKAGE unpacks a package of Debian into bin/lab; nothing is installed.
fetch() {
	local package=$1
	say "fetching $package"
	command -v apt-get >/dev/null || die "there is no apt-get here: name a file by LAB_KERNEL or LAB_BUSYBOX"
	mkdir -p "$lab/debian"
	(
		cd "$lab/debian"
		apt-get -q download "$package" >"$lab/apt.log" 2>&1 || {
			! as_root || apt-get -q update >>"$lab/apt.log" 2>&1 || true
			apt-get -q download "$package" >>"$lab/apt.log" 2>&1
		} || die "$package could not be fetched, see $lab/apt.log"
		dpkg -x "$package"_*.deb .
		rm -f "$package"_*.deb
	)
}

first_file() {
	local file
	for file in "$@"; do
		[[ ! -f $file ]] || { echo "$file" && return; }
	done
}

find_busybox() {
	busybox=${LAB_BUSYBOX:-$(first_file "$lab"/debian/bin/busybox "$lab"/debian/usr/bin/busybox)}
	[[ -n $busybox ]] || { fetch busybox-static && busybox=$(first_file "$lab"/debian/bin/busybox "$lab"/debian/usr/bin/busybox); }
	[[ -n $busybox ]] || die "busybox-static has no busybox"
}

kernel_package() {
	apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-[0-9]/ && !n++ {print $2}' || true
}

find_kernel() {
	kernel=${LAB_KERNEL:-$(first_file "$lab"/debian/boot/vmlinuz-*)}
	[[ -z $kernel ]] || return 0
	local package
	package=$(kernel_package)
	if [[ -z $package ]] && as_root; then
		apt-get -q update >"$lab/apt.log" 2>&1 || true
		package=$(kernel_package)
	fi
	[[ -n $package ]] || die "no kernel: apt-get knows no linux-image-cloud-amd64 (LAB_KERNEL names a kernel image)"
	fetch "$package"
	kernel=$(first_file "$lab"/debian/boot/vmlinuz-*)
	[[ -n $kernel ]] || die "$package has no kernel image"
}

find_qemu() {
	command -v qemu-system-x86_64 >/dev/null && return
	as_root || die "qemu-system-x86_64 is missing: apt-get install qemu-system-x86"
	say "installing qemu-system-x86"
	{ apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends qemu-system-x86; } \
		>"$lab/apt.log" 2>&1 || die "qemu-system-x86 could not be installed, see $lab/apt.log"
}

# make_root packs what the guest has: busybox, wsify, wsbench, and an init that runs
# the one command line given to it, an argument a line.
make_root() {
	local root=$lab/root
	rm -rf "$root"
	mkdir -p "$root"/{bin,proc,sys,dev,tmp}
	cp "$busybox" "$root/bin/busybox"
	cp "$lab/wsify" "$lab/wsbench" "$root/bin/"
	cp bench/lab/guest-init.sh "$root/init"
	chmod +x "$root/init" "$root/bin/"*
	printf '%s\n' "$@" >"$root/command"
	(cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null) >"$lab/root.cpio"
	rm -rf "$root"
}

run_in_guest() {
	[[ $(uname -m) == x86_64 ]] || die "the guest needs an x86_64 machine, and this is $(uname -m)"
	(($(available_mib) > memory * 1024 + 1024)) ||
		die "$(available_mib) MiB of memory are available, and the guest needs $((memory * 1024 + 1024)) (-m)"
	find_qemu
	find_busybox
	find_kernel
	build
	local version
	version=$(qemu-system-x86_64 --version | awk 'NR == 1 {print $4}')
	arguments /bin/wsify /record.json $((minutes * 60 - 60)) \
		"in a guest kernel: QEMU $version, software emulation, $cpus processors, $memory GiB; on $(host_facts)" -million-nice 19 "$@"
	make_root /bin/wsbench "${flags[@]}"
	boot
}

# boot starts the guest and waits for its end. Its first serial port is the console,
# the second carries the record.
boot() {
	local log=$lab/console.log code=0 answer
	say "guest: $(basename "$kernel"), $cpus processors, $memory GiB, at most $minutes minutes; console in bin/lab/console.log"
	rm -f "$lab/port"
	: >"$log"
	tail -n +1 -f "$log" &
	showing=$!
	watch qemu-system-x86_64 -accel tcg,thread=multi,tb-size=512 -cpu max -smp "$cpus" -m "${memory}G" \
		-kernel "$kernel" -initrd "$lab/root.cpio" \
		-append "console=ttyS0 rdinit=/init quiet panic=-1 mitigations=off nokaslr audit=0 nowatchdog tsc=reliable thash_entries=2097152 rcupdate.rcu_cpu_stall_suppress=1" \
		-display none -nodefaults -no-reboot -serial stdio -serial "file:$lab/port" >"$log" || code=$?
	sleep 1 # until the last of it is shown
	kill "$showing"
	wait "$showing" || true
	showing=
	((code == 0)) || die "the guest ended with $code"
	keep_record
	answer=$(tr -d '\r' <"$log" | awk '/^guest: exit/ {print $3}')
	[[ $answer == 0 ]] || die "wsbench ended with ${answer:-nothing}"
}

# keep_record takes the record from the guest's second serial port.
keep_record() {
	if [[ ! -s $lab/port ]]; then
		say "the guest gave no record"
		return
	fi
	tr -d '\r' <"$lab/port" >"$lab/record.json"
	[[ $(tail -n 1 "$lab/record.json") == '}' ]] || die "the record is cut off, see bin/lab/record.json"
	mkdir -p "$(dirname "$record")"
	mv -n "$lab/record.json" "$record"
	say "record: $record"
}

# ---- here or there

command -v go >/dev/null || die "Go is missing"
[[ $where == guest ]] || look_around
if [[ $where == guest ]]; then
	run_in_guest "$@"
elif ((${#missing[@]} == 0)); then
	run_directly "$@"
else
	printf 'million: not directly: %s\n' "${missing[@]}"
	put_back
	[[ $where == auto ]] || die "not directly, and -d allows nothing else"
	run_in_guest "$@"
fi
