package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// releaseName is how the files of a release for amd64 begin, in docs/install.md.
const releaseName = "wsify-4.0.0-linux-amd64"

const releaseCommit = "0123456789012345678901234567890123456789"

// release returns a directory with a release for one processor, which is made once, as the page
// says.
func release(t *testing.T) string {
	t.Helper()
	endToEnd(t)
	dir := filepath.Join(scratch, "release")
	if _, err := os.Stat(filepath.Join(dir, "SHA256SUMS")); err != nil {
		makeRelease(t, root, dir, "022")
	}
	return dir
}

// makeRelease runs the page's command in a copy of the source tree.
func makeRelease(t *testing.T, tree, dir, umask string) {
	t.Helper()
	need(t, "make", "make")
	line := console(readme(t, "release"), "")[0].line
	env := []string{"SOURCE_DATE_EPOCH=1700000000", "COMMIT=" + releaseCommit} // the tree may have changes, and a copy has no commit
	if out, err := run(t, tree, env, "sh", "-c", "umask "+umask+"; "+line+" ARCHS=amd64 RELEASE="+dir); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

func TestReleaseIsTheSameInAnotherDirectory(t *testing.T) {
	first, other := release(t), t.TempDir()
	tree, second := filepath.Join(other, "a tree elsewhere"), filepath.Join(other, "release")
	clone := "mkdir \"$1\" && tar --create --exclude=./.git --exclude=./bin --exclude=node_modules . | tar --extract --directory \"$1\""
	if out, err := run(t, root, nil, "sh", "-c", clone, "sh", tree); err != nil {
		t.Fatalf("a copy of the tree: %v\n%s", err, out)
	}
	if err := os.Symlink(filepath.Join(root, "bin"), filepath.Join(tree, "bin")); err != nil { // the tools, which were built already
		t.Fatal(err)
	}
	makeRelease(t, tree, second, "077")
	if a, b := read(t, filepath.Join(first, "SHA256SUMS")), read(t, filepath.Join(second, "SHA256SUMS")); a != b || strings.Count(a, "\n") != 4 {
		t.Errorf("built once:\n%s\nbuilt again, elsewhere:\n%s", a, b)
	}
	for _, c := range console(readme(t, "checksums"), "") {
		if out, err := run(t, second, nil, "sh", "-c", c.line); err != nil || !strings.Contains(out, c.want[len(c.want)-1]) {
			t.Errorf("%s: %v\n%s", c.line, err, out)
		}
	}
}

func TestReleaseArchiveHasAStaticProgramOfItsVersion(t *testing.T) {
	dir := t.TempDir()
	if out, err := run(t, dir, nil, "tar", "--extract", "--file", filepath.Join(release(t), releaseName+".tar.gz")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	tree := filepath.Join(dir, releaseName)
	for _, file := range []string{"LICENSE", "docs/install.md", "deploy/systemd/wsify.service"} {
		if _, err := os.Stat(filepath.Join(tree, file)); err != nil {
			t.Error(err)
		}
	}
	if out, err := run(t, "/", nil, filepath.Join(tree, "wsify"), "-version"); err != nil || !strings.HasPrefix(out, "wsify 4.0.0 (commit "+releaseCommit+", ") {
		t.Errorf("wsify -version: %v %s", err, out)
	}
	// An interpreter is what loads shared libraries.
	if program := read(t, filepath.Join(tree, "wsify")); strings.Contains(program, "/ld-linux") || strings.Contains(program, root) {
		t.Error("the program needs shared libraries, or has the directory in it that it was built in")
	}
}

// TestReleaseListsTheModulesOfTheProgram compares the SBOM with what Go says of the program.
func TestReleaseListsTheModulesOfTheProgram(t *testing.T) {
	var bom struct {
		BOMFormat  string
		Components []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(release(t), releaseName+".cdx.json"))), &bom); err != nil || bom.BOMFormat != "CycloneDX" {
		t.Fatalf("%v: %+v", err, bom)
	}
	var got, want []string
	for _, c := range bom.Components {
		if c.Name != "std" {
			got = append(got, c.Name+" "+c.Version)
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range regexp.MustCompile(`(?m)^\tdep\t(\S+)\t(\S+)`).FindAllStringSubmatch(string(out), -1) {
		want = append(want, dep[1]+" "+dep[2])
	}
	slices.Sort(got)
	if slices.Sort(want); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the list has %q, the program %q", got, want)
	}
}
