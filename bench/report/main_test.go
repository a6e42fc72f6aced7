package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// command runs the program on a directory that has results/ and, once written, the report.
func command(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	args = append([]string{"-results", filepath.Join(dir, "results"), "-out", dir}, args...)
	code = run(args, prose{testTexts()}, &out, &errs)
	return code, out.String(), errs.String()
}

// bench is a directory with the records of the tests.
func bench(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "results"), os.DirFS(records)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWhatWasWrittenPassesTheCheck(t *testing.T) {
	dir := bench(t)
	if code, _, stderr := command(t, dir); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if code, stdout, stderr := command(t, dir, "-check"); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	report, err := os.ReadFile(filepath.Join(dir, reportFile))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(report), "](results/2001-01-02-goals.json)") {
		t.Error("records are not linked by the way from the report to them")
	}
}

func TestTheCheckFindsWhatIsNotTrue(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"a figure was edited": {func(t *testing.T, dir string) {
			report, _ := os.ReadFile(filepath.Join(dir, reportFile))
			put(t, filepath.Join(dir, reportFile), strings.Replace(string(report), "150 B", "15 B", 1))
		}, "REPORT.md differs in line "},
		"a chart is missing": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "charts/peers-memory.svg")); err != nil {
				t.Fatal(err)
			}
		}, "charts/peers-memory.svg is missing"},
		"a chart is of no record": {func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "charts/old.svg"), "<svg/>")
		}, "charts/old.svg belongs to no figure"},
		"a record came": {func(t *testing.T, dir string) {
			copyFile(t, filepath.Join(dir, "results/2001-01-01-goals.json"), filepath.Join(dir, "results/2001-01-03-goals.json"))
		}, "REPORT.md differs in line "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := bench(t)
			command(t, dir)
			c.change(t, dir)
			code, stdout, _ := command(t, dir, "-check")
			if code != 1 || !strings.Contains(stdout, c.want) {
				t.Errorf("exit code %d, want 1 and %q:\n%s", code, c.want, stdout)
			}
		})
	}
}

func TestTheCheckWritesNothing(t *testing.T) {
	dir := bench(t)
	if code, _, _ := command(t, dir, "-check"); code != 1 {
		t.Errorf("exit code %d without a report, want 1", code)
	}
	if _, err := os.Stat(filepath.Join(dir, reportFile)); err == nil {
		t.Error("there is a report")
	}
}

func TestWritingTakesAwayChartsOfOldRecords(t *testing.T) {
	dir := bench(t)
	if err := os.Mkdir(filepath.Join(dir, chartsDir), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "charts/old.svg"), "<svg/>")
	command(t, dir)
	if _, err := os.Stat(filepath.Join(dir, "charts/old.svg")); err == nil {
		t.Error("charts/old.svg is still there")
	}
}

func TestRecordsThatAreNotShownAreNamed(t *testing.T) {
	_, stdout, _ := command(t, bench(t))
	for _, want := range []string{
		"2000-01-01-old.json is not shown: of an older format",
		"2001-01-01-goals.json is not shown: there is a newer one",
		"2001-01-02-smoke.json is not shown: of a kind that has no place in the report",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no line %q in\n%s", want, stdout)
		}
	}
}

func TestABadRecordIsRefusedByName(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"broken JSON":     {"2001-02-03-goals.json", `{"date":`, "unexpected end of JSON"},
		"another type":    {"2001-02-03-goals.json", `{"date":"2001-01-01T00:00:00Z","figures":{}}`, "cannot unmarshal"},
		"no date":         {"2001-02-03-peers.json", `{"figures":[]}`, "no date"},
		"no figures":      {"2001-02-03-peers.json", `{"date":"2001-01-01T00:00:00Z"}`, "neither figures nor failures"},
		"no scenario":     {"2001-02-03-million.json", `{"date":"2001-01-01T00:00:00Z","figures":[{"name":"b"}]}`, `figure 0 (, "b")`},
		"median too high": {"2001-02-03-million.json", `{"date":"2001-01-01T00:00:00Z","figures":[{"scenario":"a","name":"b","unit":"B","median":3,"max":2}]}`, "median 3 is not within"},
		"stray sample":    {"2001-02-03-million.json", `{"date":"2001-01-01T00:00:00Z","figures":[{"scenario":"a","name":"b","unit":"B","samples":[5],"median":1,"min":1,"max":2}]}`, "sample 5 is not within"},
		"no date in name": {"goals.json", `{"date":"2001-01-01T00:00:00Z","failures":["x"]}`, "not DATE-KIND.json"},
		"no benchmark":    {"go-2001-02-03-000000.txt", "PASS\n", "no benchmark"},
		"not a number":    {"go-2001-02-03-000000.txt", "BenchmarkX-2 1 x allocs/op\n", "invalid syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := bench(t)
			put(t, filepath.Join(dir, "results", c.file), c.text)
			code, _, stderr := command(t, dir)
			if code != 1 || !strings.Contains(stderr, c.file) || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want 1, %s and %q: %s", code, c.file, c.want, stderr)
			}
		})
	}
}

func TestARecordOfFailuresAloneIsShownWithThem(t *testing.T) {
	dir := bench(t)
	put(t, filepath.Join(dir, "results/2001-02-03-million.json"), `{"date":"2001-02-03T00:00:00Z","failures":["no guest kernel"]}`)
	if code, _, stderr := command(t, dir); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	report, _ := os.ReadFile(filepath.Join(dir, reportFile))
	for _, want := range []string{"**Not everything could be measured** (failures: 1)", "**Not measured**: no guest kernel"} {
		if !strings.Contains(string(report), want) {
			t.Errorf("no %q in the report", want)
		}
	}
}

func TestAWrongCommandLineIsTwo(t *testing.T) {
	for _, args := range [][]string{{"-nothing"}, {"stray"}} {
		if code, _, stderr := command(t, t.TempDir(), args...); code != 2 || stderr == "" {
			t.Errorf("%v: exit code %d, want 2 and a word: %q", args, code, stderr)
		}
	}
	if code, _, _ := command(t, t.TempDir(), "-help"); code != 0 {
		t.Errorf("-help: exit code %d", code)
	}
}

func TestALinkToAProfileThatIsNotThereIsRefused(t *testing.T) {
	dir := bench(t)
	written := testTexts()
	written["goals-missed.md"].Data = []byte("### JSON round trip over floor\n\nSee [the profile](results/2001-01-02-profile-echo.txt).\n")
	args := []string{"-results", filepath.Join(dir, "results"), "-out", dir}
	var out, errs strings.Builder
	if code := run(args, prose{written}, &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	if err := os.Remove(filepath.Join(dir, "results/2001-01-02-profile-echo.txt")); err != nil {
		t.Fatal(err)
	}
	for _, check := range [][]string{nil, {"-check"}} {
		errs.Reset()
		code := run(append(args, check...), prose{written}, &out, &errs)
		if code != 1 || !strings.Contains(errs.String(), "the report links results/2001-01-02-profile-echo.txt, which is not there") {
			t.Errorf("%v: exit code %d: %s", check, code, &errs)
		}
	}
}
