package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// stale lists the charts in dir that the report does not have.
func stale(dir string, files map[string][]byte) ([]string, error) {
	charts, err := filepath.Glob(filepath.Join(dir, chartsDir, "*.svg"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range charts {
		name := chartsDir + "/" + filepath.Base(path)
		if files[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// write puts the files into dir and takes away charts that the report has no more.
func write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(filepath.Join(dir, chartsDir), 0o755); err != nil {
		return err
	}
	for _, name := range sortedKeys(files) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return err
		}
	}
	old, err := stale(dir, files)
	for _, name := range old {
		err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
	}
	return err
}

// differences says in which files dir is not what the records give.
func differences(dir string, files map[string][]byte) ([]string, error) {
	var found []string
	for _, name := range sortedKeys(files) {
		have, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			found = append(found, name+" is missing")
		case err != nil:
			return nil, err
		case !bytes.Equal(have, files[name]):
			found = append(found, fmt.Sprintf("%s differs in line %d", name, firstDifference(have, files[name])))
		}
	}
	old, err := stale(dir, files)
	for _, name := range old {
		found = append(found, name+" belongs to no figure of the report")
	}
	return found, err
}

// firstDifference is the number of the first line that is not the same.
func firstDifference(a, b []byte) int {
	la, lb := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(la), len(lb)) {
		if !bytes.Equal(la[i], lb[i]) {
			return i + 1
		}
	}
	return min(len(la), len(lb)) + 1
}
