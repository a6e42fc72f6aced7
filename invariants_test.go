package wsify_test

import (
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A test names each invariant of ARCHITECTURE.md, section 8, and no test names any other number.
func TestEachInvariantIsNamedByATest(t *testing.T) {
	page, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	tested := make(map[string]bool)
	for _, found := range regexp.MustCompile(`(?m)^- \*\*(I\d+)\*\*`).FindAllSubmatch(page, -1) {
		tested[string(found[1])] = false
	}
	number := regexp.MustCompile(`\bI[1-9]\d?\b`)
	err = fs.WalkDir(os.DirFS("."), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, name := range number.FindAllString(string(source), -1) {
			if _, ok := tested[name]; !ok {
				t.Errorf("%s names %s, which is no invariant", path, name)
			} else if strings.HasSuffix(path, "_test.go") {
				tested[name] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(tested)) {
		if !tested[name] {
			t.Errorf("no test names %s", name)
		}
	}
}
