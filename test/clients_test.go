package test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestClientsOfOthers runs the tests of the module in the directory clients against
// this server.
func TestClientsOfOthers(t *testing.T) {
	endToEnd(t)
	dir := filepath.Join(root, "test", "clients")
	env := append(os.Environ(), "WSIFY_PROGRAM="+program) // all variables, because modules may have to come through a proxy
	if out, err := run(t, dir, env, "go", "mod", "download"); err != nil {
		t.Fatalf("go mod download: %v\n%s", err, out)
	}
	args := []string{"go", "test", "-count=1"}
	if testing.Verbose() {
		args = append(args, "-v")
	}
	out, err := run(t, dir, env, append(args, ".")...)
	if err != nil {
		t.Fatalf("go test in test/clients: %v\n%s", err, out)
	}
	t.Logf("go test in test/clients:\n%s", out)
}
