package test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for something before it gives up.
const patience = 30 * time.Second

var (
	root    string // the module's directory
	scratch string // a directory that is removed after the tests
	program string // the server, built once for all tests
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("end-to-end tests are left out with -short")
		os.Exit(0)
	}
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "the tests cannot start:", err)
		return 1
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

// prepare builds the server.
func prepare() (err error) {
	if root, err = filepath.Abs(".."); err != nil {
		return err
	}
	if scratch, err = os.MkdirTemp("", "wsify-test"); err != nil {
		return err
	}
	program = filepath.Join(scratch, "wsify")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./cmd/wsify")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// watchSources calls stat for every file of the module. From these calls go test learns that a
// cached result is out of date when a file of the server changes. It sees neither the files that
// the build reads, nor calls before a test runs. So functions that start programs call
// watchSources, which works once.
var watchSources = sync.OnceValue(func() error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{".git", "bin", "node_modules"}, entry.Name()) {
			return fs.SkipDir
		}
		_, err = os.Stat(path)
		return err
	})
})
