package test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// mayInstall reports whether the tests may fetch what they need.
func mayInstall() bool { return os.Getenv("CI") == "true" || os.Getenv("WSIFY_E2E") == "1" }

// need returns the path of a program, from the Debian package when it has to be
// installed, or skips the test and says why.
func need(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	switch {
	case !mayInstall():
		t.Skipf("%s is not installed; with WSIFY_E2E=1 and as root this test installs Debian's %s", name, pkg)
	case os.Geteuid() != 0:
		t.Skipf("%s is not installed, and only root can install Debian's %s", name, pkg)
	}
	aptInstall(t, pkg)
	if path, err = exec.LookPath(name); err != nil {
		t.Fatalf("%s is not in Debian's %s: %v", name, pkg, err)
	}
	return path
}

// aptUpdate fetches the lists of packages, once.
var aptUpdate = sync.OnceValues(func() (string, error) { return apt("update") })

func aptInstall(t *testing.T, pkg string) {
	t.Helper()
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skipf("%s is missing, and this is no Debian that could install it", pkg)
	}
	out, err := aptUpdate()
	if err == nil {
		out, err = apt("install", "--yes", "--no-install-recommends", pkg)
	}
	if err != nil {
		t.Fatalf("apt-get install %s: %v\n%s", pkg, err, out)
	}
}

// apt runs apt-get, which waits for others that use it, and starts no service.
func apt(args ...string) (string, error) {
	options := []string{"300", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"}
	cmd := exec.Command("timeout", append(options, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
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

// npmDir returns a directory with npm's packages in it, or skips the test and says
// why.
func npmDir(t *testing.T) string {
	t.Helper()
	if !mayInstall() {
		t.Skip("it needs packages of npm; with WSIFY_E2E=1 this test fetches them")
	}
	need(t, "node", "nodejs")
	need(t, "npm", "npm")
	out, err := npmOnce()
	dir, said, _ := strings.Cut(out, "\n")
	if err != nil {
		t.Fatalf("npm ci: %v\n%s", err, said)
	}
	return dir
}

// writeFile writes one file of a test's own directory.
func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	const mode fs.FileMode = 0o600
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}
