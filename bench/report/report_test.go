package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "rewrite testdata/golden; commit a rewrite only when each line is understood")

// texts of the tests: the shortest that can be.
func testTexts() fstest.MapFS {
	return fstest.MapFS{
		"intro.md":        {Data: []byte("The intro.\n")},
		"goals-missed.md": {Data: []byte("For writers.\n\n### JSON round trip over floor\n\nThe profile says why.\n")},
		"tuning.md":       {Data: []byte("The guide: {{median \"goals\" \"idle\" \"wsify\" \"RSS per connection, one channel for all\"}}.\n")},
		"bottlenecks.md":  {Data: []byte("The bottlenecks.\n")},
		"curve-loops.md":  {Data: []byte("What this curve shows.\n")},
	}
}

// buildFrom builds the report of the records in dir, as if they were in results/.
func buildFrom(t *testing.T, dir string, texts fs.FS) map[string][]byte {
	t.Helper()
	files, err := tryBuild(dir, texts)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func tryBuild(dir string, texts fs.FS) (map[string][]byte, error) {
	lib, err := readLibrary(dir)
	if err != nil {
		return nil, err
	}
	others, err := readElsewhere(elsewhereJSON)
	if err != nil {
		return nil, err
	}
	b := &builder{lib: lib, prose: prose{texts}, elsewhere: others, links: "results"}
	return b.build()
}

const records = "testdata/records"

func TestTheReportIsWhatTheRecordsHold(t *testing.T) {
	files := buildFrom(t, records, testTexts())
	for _, name := range []string{
		"REPORT.md",
		"charts/peers-memory.svg", // logarithmic, with servers from elsewhere
		"charts/scenario-storm.svg",
		"charts/scenario-authorizer.svg",
		"charts/peers-delivery.svg", // two bars for a server, a floor
		"charts/curve-workers-authorizer-us.svg",
		"charts/curve-content-fanout-cpu-us-per-delivery.svg",
		"charts/curve-connections-idle-b.svg",     // its last point is of another run
		"charts/curve-queue-connect-joined-s.svg", // an x of 0 among decades
	} {
		golden := filepath.Join("testdata/golden", filepath.Base(name))
		if *update {
			if err := os.WriteFile(golden, files[name], 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(files[name], want) {
			t.Errorf("%s differs from %s in line %d; go test -update rewrites it", name, golden, firstDifference(files[name], want))
		}
	}
}

func TestTheSameRecordsGiveTheSameBytes(t *testing.T) {
	first := buildFrom(t, records, testTexts())
	for range 5 {
		again := buildFrom(t, records, testTexts())
		if len(again) != len(first) {
			t.Fatalf("%d files, then %d", len(first), len(again))
		}
		for name := range first {
			if !bytes.Equal(first[name], again[name]) {
				t.Errorf("%s differs in line %d", name, firstDifference(first[name], again[name]))
			}
		}
	}
}

func TestEveryChartIsSmallWellFormedAndShown(t *testing.T) {
	files := buildFrom(t, records, testTexts())
	report := string(files[reportFile])
	for name, svg := range files {
		if name == reportFile {
			continue
		}
		if !strings.Contains(report, "("+name+")") {
			t.Errorf("%s is not in the report", name)
		}
		if len(svg) > 40<<10 {
			t.Errorf("%s has %d bytes", name, len(svg))
		}
		if !bytes.Contains(svg, []byte("sans-serif")) || bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
			t.Errorf("%s: no font to fall back to, or a coordinate that is no number", name)
		}
		for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
		}
	}
}

func TestOurOwnTextsFitTheRecordsOfTheTests(t *testing.T) {
	written, err := fs.Sub(texts, "text")
	if err != nil {
		t.Fatal(err)
	}
	report := string(buildFrom(t, records, written)[reportFile])
	if strings.Contains(report, "(not measured yet)") || strings.Contains(report, "{{") {
		t.Error("a quote of the texts was not filled in")
	}
}

func TestEveryKindThatIsMissingIsSaidToBe(t *testing.T) {
	report := string(buildFrom(t, t.TempDir(), testTexts())[reportFile])
	for _, target := range []string{"bench-goals", "bench-peers", "bench-curves", "bench-million", "bench"} {
		if !strings.Contains(report, "run `make "+target+"`") {
			t.Errorf("make %s is not named", target)
		}
	}
	if n := strings.Count(report, "make bench-curves"); n != len(axes) {
		t.Errorf("%d curves are said to be missing, want %d", n, len(axes))
	}
	if !strings.Contains(report, "The guide: (not measured yet).") {
		t.Error("a text that quotes a missing record does not say so")
	}
}

func TestAnyOneKindMayBeMissing(t *testing.T) {
	all, err := os.ReadDir(records)
	if err != nil {
		t.Fatal(err)
	}
	for _, without := range all {
		dir := t.TempDir()
		for _, e := range all {
			if e != without {
				copyFile(t, filepath.Join(records, e.Name()), filepath.Join(dir, e.Name()))
			}
		}
		if _, err := tryBuild(dir, testTexts()); err != nil {
			t.Errorf("without %s: %v", without.Name(), err)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	put(t, to, string(text))
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTextOfARecordCannotBreakThePage(t *testing.T) {
	p := new(page)
	p.table([]string{"a"}, [][]string{{plain("x|y\n<b>*z*`")}, {code("a|`b")}})
	want := "| a |\n|---|\n| x\\|y &lt;b>\\*z\\*\\` |\n| `` a\\|`b `` |\n\n"
	if p.String() != want {
		t.Errorf("got\n%swant\n%s", p, want)
	}
}
