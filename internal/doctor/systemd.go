package doctor

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

const (
	unitName = "wsify.service"
	// managerDefault is DefaultLimitNOFILE's hard limit since systemd 240.
	managerDefault = 524288
)

// Where systemd looks for units and for its own configuration, the most important first;
// systemd.unit(5), systemd-system.conf(5).
var (
	unitDirs    = []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}
	managerDirs = []string{"etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd"}
)

// unit reads the limit of descriptors that systemd gives a service named wsify, or would
// give one.
func (r reader) unit() (u Unit) {
	if u.Systemd = r.exists("run/systemd/system"); !u.Systemd {
		return u
	}
	u.Inside = strings.Contains(r.text("proc/self/cgroup"), "/"+unitName)
	u.Files = managerDefault
	if _, n := r.assigned(managerDirs, "system.conf", "DefaultLimitNOFILE"); n > 0 {
		u.Files = n
	}
	path, n := r.assigned(unitDirs, unitName, "LimitNOFILE")
	if u.Path = path; path != "" && n > 0 {
		u.Files, u.Own = n, true
	}
	return u
}

// assigned returns the path of a file of systemd's, or "", and the hard limit that it or one of its
// drop-ins assigns last.
func (r reader) assigned(dirs []string, file, name string) (found string, limit int64) {
	found, all := r.sources(dirs, file)
	for _, value := range r.values(all, name) {
		if n := hardLimit(value); n > 0 {
			limit = n
		}
	}
	return found, limit
}

// sources returns the path of a file of systemd's, or "", and what is read in its place: the file,
// then its drop-ins in the order of their names. Of two drop-ins with the same name the one in the
// more important directory counts.
func (r reader) sources(dirs []string, file string) (found string, all []string) {
	dropIns := map[string]string{}
	for _, dir := range dirs {
		if at := path.Join(dir, file); found == "" && r.exists(at) {
			found, all = "/"+at, []string{at}
		}
		paths, _ := fs.Glob(r.root, path.Join(dir, file+".d", "*.conf"))
		for _, at := range paths {
			if _, hidden := dropIns[path.Base(at)]; !hidden {
				dropIns[path.Base(at)] = at
			}
		}
	}
	for _, base := range slices.Sorted(maps.Keys(dropIns)) {
		all = append(all, dropIns[base])
	}
	return found, all
}

// values returns what files assign to name, in their order.
func (r reader) values(files []string, name string) (all []string) {
	for _, file := range files {
		for line := range strings.Lines(r.text(file)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			if strings.TrimSpace(key) == name {
				all = append(all, strings.TrimSpace(value))
			}
		}
	}
	return all
}

// hardLimit parses a limit, or the soft and the hard one: 1024:524288. It returns 0 for what is
// neither.
func hardLimit(value string) int64 {
	n, _ := number(strings.TrimSpace(value[strings.LastIndexByte(value, ':')+1:]))
	return n
}
