package doctor

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// Service says where the settings of wsify.service are from.
type Service struct {
	Config       string            // the file that its -config names, or ""
	Environments []EnvironmentFile // those that there are
}

// EnvironmentFile is a file that systemd reads before it starts the service.
type EnvironmentFile struct {
	Path   string
	Names  []string // of the variables in it
	Hidden bool     // this process may not read it
}

// ReadService reads the unit under root and its drop-ins; systemd.exec(5), "EnvironmentFile=". It
// is for a machine with systemd, and zero elsewhere.
func ReadService(root fs.FS) (s Service) {
	r := reader{root}
	if !r.exists("run/systemd/system") {
		return s
	}
	found, files := r.sources(unitDirs, unitName)
	if found == "" {
		return s
	}
	for _, command := range r.values(files, "ExecStart") {
		s.Config = configOf(strings.Fields(command))
	}
	for _, value := range r.values(files, "EnvironmentFile") {
		at := strings.TrimPrefix(value, "-")
		if at == "" { // it begins the list again
			s.Environments = nil
		} else if e, ok := r.environmentFile(at); ok {
			s.Environments = append(s.Environments, e)
		}
	}
	return s
}

// configOf returns the value of -config on a command line, or "".
func configOf(words []string) (file string) {
	for i, word := range words {
		name, value, cut := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
		if name != "config" || !strings.HasPrefix(word, "-") {
			continue
		}
		if !cut && i+1 < len(words) {
			value = words[i+1]
		}
		file = value
	}
	return file
}

// environmentFile returns false when there is no such file.
func (r reader) environmentFile(at string) (EnvironmentFile, bool) {
	text, err := fs.ReadFile(r.root, strings.TrimPrefix(at, "/"))
	e := EnvironmentFile{Path: at, Hidden: errors.Is(err, fs.ErrPermission)}
	for line := range strings.Lines(string(text)) {
		name, _, assigns := strings.Cut(strings.TrimSpace(line), "=")
		if name = strings.TrimSpace(name); assigns && !strings.ContainsAny(name, "#; ") && !slices.Contains(e.Names, name) {
			e.Names = append(e.Names, name)
		}
	}
	return e, err == nil || e.Hidden
}
