package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// recordOf is the least that a record can be.
func recordOf(date string) string {
	return fmt.Sprintf(`{"date":%q,"failures":["made up"]}`, date)
}

func TestOfTwoRecordsTheLaterIsShownWhateverTheirNamesAre(t *testing.T) {
	const bare, timed = "2001-02-03-goals.json", "2001-02-03-153000-goals.json"
	for name, c := range map[string]struct{ bare, timed, shown, passed string }{
		"the second of a day has the time in its name": {"2001-02-03T09:00:00Z", "2001-02-03T15:30:00Z", timed, bare},
		"a name says nothing":                          {"2001-02-03T16:00:00Z", "2001-02-03T15:30:00Z", bare, timed},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, bare), recordOf(c.bare))
			put(t, filepath.Join(dir, timed), recordOf(c.timed))
			l, err := readLibrary(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.kinds["goals"].file; got != c.shown {
				t.Errorf("%s is shown, want %s", got, c.shown)
			}
			if want := []passed{{c.passed, "there is a newer one"}}; !slices.Equal(l.passed, want) {
				t.Errorf("passed over: %v, want %v", l.passed, want)
			}
		})
	}
}
