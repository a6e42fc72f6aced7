package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wsify/bench/internal/record"
)

// aRecord is one from a machine with another number of cores, with names that try to
// break out of the page.
func aRecord(vary string, servers ...string) *record.Record {
	r := &record.Record{
		Version: record.Version, Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: []string{"wsbench", "run", "`x`"}, Vary: vary,
		Machine: record.Machine{CPU: "<b>A|B</b>", Cores: 96, Memory: 1 << 40, Kernel: "6.1"},
		Notes:   []record.Note{{Scenario: "fan<out", Text: "a note"}}, Failures: []string{"<script>alert(1)</script>"},
	}
	for _, server := range servers {
		for x := range 3 {
			f := record.Figure{Scenario: "fan<out", Name: "CPU | of", Server: server, Unit: "s", Better: record.Lower, Cost: true, Samples: []float64{1e-6, 2e-6, 3e-6, 4e-6, 5e-6}}
			if vary != "" {
				v := float64(x)
				f.X = &v
			} else if x > 0 {
				continue
			}
			r.Figures = append(r.Figures, f)
		}
	}
	r.Judge()
	return r
}

func TestAReportIsMadeOfAnybodysRecords(t *testing.T) {
	for name, tc := range map[string]struct {
		records []*record.Record
		charts  int
	}{
		"nothing":      {nil, 0},
		"no figures":   {[]*record.Record{aRecord("")}, 0},
		"one server":   {[]*record.Record{aRecord("", "a")}, 0},
		"two servers":  {[]*record.Record{aRecord("", "a", "b<i>")}, 1},
		"a curve":      {[]*record.Record{aRecord("content", "a")}, 1},
		"many records": {[]*record.Record{aRecord("", "a", "b"), aRecord("rate", "a", "b")}, 2},
		"one minute":   {[]*record.Record{aRecord("", "a", "b"), aRecord("", "a", "b"), aRecord("", "a", "b")}, 3},
	} {
		dir := t.TempDir()
		if err := Write(dir, tc.records); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		html, _ := os.ReadFile(filepath.Join(dir, "report.html"))
		md, _ := os.ReadFile(filepath.Join(dir, "REPORT.md"))
		if strings.Contains(string(html), "<script>") || strings.Contains(string(html), "<b>A") || strings.Contains(string(html), "b<i>") {
			t.Errorf("%s: names break out of the page", name)
		}
		if strings.Contains(string(html), "src=") || strings.Contains(string(html), "href=\"http") && !strings.Contains(string(html), "xlink") {
			t.Errorf("%s: the page needs others", name)
		}
		if n := strings.Count(string(html), "<svg"); n != tc.charts {
			t.Errorf("%s: %d charts, want %d", name, n, tc.charts)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "charts", "*.svg")); len(files) != tc.charts || strings.Count(string(md), "](charts/") != tc.charts {
			t.Errorf("%s: %v, want %d charts", name, files, tc.charts)
		}
		if _, err := os.Stat(filepath.Join(dir, "charts")); tc.charts == 0 && err == nil {
			t.Errorf("%s: charts is there, and empty", name)
		}
		if len(tc.records) > 0 && !strings.Contains(string(md), "96 cores") {
			t.Errorf("%s: the machine is not named:\n%s", name, md)
		}
	}
}

func TestAReportHasTwelveChartsAtMost(t *testing.T) {
	r := aRecord("", "a", "b")
	for i := range 30 {
		for _, f := range r.Figures[:2] {
			f.Name += strings.Repeat("x", i+1)
			r.Figures = append(r.Figures, f)
		}
	}
	charts, err := chartsOf([]*record.Record{r}, maxCharts)
	if err != nil || len(charts) != maxCharts {
		t.Errorf("%d charts, %v", len(charts), err)
	}
}

func TestAReportThatFailsLeavesNoCharts(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "REPORT.md"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, []*record.Record{aRecord("", "a", "b")}); err == nil {
		t.Error("REPORT.md is a directory, and was written")
	}
	if _, err := os.Stat(filepath.Join(dir, "charts")); err == nil {
		t.Error("charts was made")
	}
}
