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

// assigned returns the path of a file of systemd's, or "", and the hard limit that it or
// one of its drop-ins assigns last. Drop-ins are read in the order of their names; of two
// with the same name the one in the more important directory counts.
func (r reader) assigned(dirs []string, file, name string) (found string, limit int64) {
	dropIns := map[string]string{}
	for _, dir := range dirs {
		if at := path.Join(dir, file); found == "" && r.exists(at) {
			found = at
			limit = r.lastLimit(at, name)
		}
		paths, _ := fs.Glob(r.root, path.Join(dir, file+".d", "*.conf"))
		for _, at := range paths {
			if _, hidden := dropIns[path.Base(at)]; !hidden {
				dropIns[path.Base(at)] = at
			}
		}
	}
	for _, base := range slices.Sorted(maps.Keys(dropIns)) {
		if n := r.lastLimit(dropIns[base], name); n > 0 {
			limit = n
		}
	}
	if found != "" {
		found = "/" + found
	}
	return found, limit
}

// lastLimit returns the hard limit that a file assigns to name, or 0. A value is one
// limit, or the soft and the hard one: 1024:524288.
func (r reader) lastLimit(file, name string) (limit int64) {
	for line := range strings.Lines(r.text(file)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if strings.TrimSpace(key) != name {
			continue
		}
		if at := strings.LastIndexByte(value, ':'); at >= 0 {
			value = value[at+1:]
		}
		if n, ok := number(strings.TrimSpace(value)); ok {
			limit = n
		}
	}
	return limit
}
