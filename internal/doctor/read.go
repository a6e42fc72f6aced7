package doctor

import (
	"io/fs"
	"strconv"
	"strings"

	"wsify/internal/cgroup"
)

// readFiles reads what files under root say: / of this machine, or of a test.
func (f *Facts) readFiles(root fs.FS) {
	r := reader{root}
	f.Place = r.place()
	f.Files = r.fileLimits()
	f.Unit = r.unit()
	f.NrOpen, f.FileMax = r.sysctl("fs/nr_open"), r.sysctl("fs/file-max")
	if open := r.numbers("proc/sys/fs/file-nr"); len(open) > 0 {
		f.Opened = open[0]
	}
	f.Watch = r.sysctl("fs/epoll/max_user_watches")
	f.Somaxconn = r.sysctl("net/core/somaxconn")
	f.SynBacklog = r.sysctl("net/ipv4/tcp_max_syn_backlog")
	f.SynCookies = r.sysctl("net/ipv4/tcp_syncookies") > 0
	if ports := r.numbers("proc/sys/net/ipv4/ip_local_port_range"); len(ports) == 2 {
		f.Ports = Range{ports[0], ports[1]}
	}
	f.TCPMemory, f.Receive, f.Send = r.triple("net/ipv4/tcp_mem"), r.triple("net/ipv4/tcp_rmem"), r.triple("net/ipv4/tcp_wmem")
	f.Tracking, f.Tracked = r.sysctl("net/netfilter/nf_conntrack_max"), r.sysctl("net/netfilter/nf_conntrack_count")
	f.Memory, f.Available = r.kilobytes("MemTotal"), r.kilobytes("MemAvailable")
	f.Cgroup, f.Quota = cgroup.ReadMemory(root), cgroup.ReadCPU(root)
	f.Cgroup.Used = min(f.Cgroup.Used, f.Cgroup.Limit)
}

// reader reads files. What cannot be read, or is in another form, is zero.
type reader struct{ root fs.FS }

func (r reader) text(file string) string {
	text, _ := fs.ReadFile(r.root, file)
	return string(text)
}

func (r reader) exists(file string) bool {
	_, err := fs.Stat(r.root, file)
	return err == nil
}

// numbers returns the numbers in a file, or nil when it has something else.
func (r reader) numbers(file string) (all []int64) {
	for word := range strings.FieldsSeq(r.text(file)) {
		n, ok := number(word)
		if !ok {
			return nil
		}
		all = append(all, n)
	}
	return all
}

// number parses a limit. What is too large to matter is unlimited.
func number(word string) (n int64, ok bool) {
	if word == "unlimited" || word == "infinity" {
		return unlimited, true
	}
	u, err := strconv.ParseUint(word, 10, 64)
	return int64(min(u, uint64(unlimited))), err == nil
}

func (r reader) sysctl(name string) int64 {
	if all := r.numbers("proc/sys/" + name); len(all) == 1 {
		return all[0]
	}
	return 0
}

func (r reader) triple(name string) Triple {
	if all := r.numbers("proc/sys/" + name); len(all) == 3 {
		return Triple{all[0], all[1], all[2]}
	}
	return Triple{}
}

// kilobytes returns a row of /proc/meminfo, in bytes.
func (r reader) kilobytes(name string) int64 {
	for line := range strings.Lines(r.text("proc/meminfo")) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			n, _ := number(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			return min(n, unlimited>>10) << 10
		}
	}
	return 0
}

// fileLimits returns the soft and the hard limit of descriptors.
func (r reader) fileLimits() Range {
	for line := range strings.Lines(r.text("proc/self/limits")) {
		if row, found := strings.CutPrefix(line, "Max open files"); found {
			if words := strings.Fields(row); len(words) >= 2 {
				soft, _ := number(words[0])
				hard, _ := number(words[1])
				return Range{soft, hard}
			}
		}
	}
	return Range{}
}

// onOverlay reports whether / is layers, as every engine's containers have it; proc_pid_mountinfo(5).
func (r reader) onOverlay() bool {
	for line := range strings.Lines(r.text("proc/self/mountinfo")) {
		mount, kind, _ := strings.Cut(line, " - ")
		if words := strings.Fields(mount); len(words) > 4 && words[4] == "/" {
			return strings.HasPrefix(kind, "overlay ")
		}
	}
	return false
}

// place looks for what container engines leave in a container.
func (r reader) place() Place {
	switch {
	case r.exists("run/secrets/kubernetes.io") || r.exists("var/run/secrets/kubernetes.io"):
		return Pod
	case r.exists(".dockerenv") || r.exists("run/.containerenv") || r.onOverlay():
		return Container
	}
	return Host
}
