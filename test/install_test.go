package test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"wsify/internal/testtool"
)

// endToEnd skips a test unless end-to-end tests are enabled: it is slow, or needs other programs.
func endToEnd(t *testing.T) {
	t.Helper()
	if os.Getenv("E2E") != "1" {
		t.Skip("an end-to-end test: make e2e, or E2E=1, runs it")
	}
}

// need returns the path of a program, and installs its Debian package if necessary. Only end-to-end
// tests need one.
func need(t *testing.T, name, pkg string) string {
	t.Helper()
	endToEnd(t)
	return testtool.Need(t, name, pkg)
}

// npmOnce installs the packages that testdata/npm locks, once.
var npmOnce = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "npm")
	if err := os.CopyFS(dir, os.DirFS("testdata/npm")); err != nil {
		return "", err
	}
	cmd := exec.Command("timeout", "180", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return dir + "\n" + string(out), err
})

// npmDir returns a directory with npm's packages in it.
func npmDir(t *testing.T) string {
	t.Helper()
	need(t, "node", "nodejs")
	need(t, "npm", "npm")
	out, err := npmOnce()
	dir, said, _ := strings.Cut(out, "\n")
	if err != nil {
		t.Fatalf("npm ci: %v\n%s", err, said)
	}
	return dir
}

// writeFile writes a file into a test's directory.
func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	const mode fs.FileMode = 0o600
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}
