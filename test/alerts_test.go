package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	rulesFile     = "deploy/prometheus/wsify.rules.yml"
	dashboardFile = "deploy/grafana/wsify.json"
)

func readRoot(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// alerts returns the names of all alerts.
func alerts(t *testing.T) (names []string) {
	t.Helper()
	for _, found := range regexp.MustCompile(`(?m)^ *- alert: (\w+)$`).FindAllStringSubmatch(readRoot(t, rulesFile), -1) {
		names = append(names, found[1])
	}
	if len(names) == 0 {
		t.Fatal("there are no alerts")
	}
	return names
}

func TestAlertRulesAsPromtoolTriesThem(t *testing.T) {
	promtool := need(t, "promtool", "prometheus")
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", "deploy/prometheus/wsify.rules.test.yml"}} {
		if out, err := run(t, root, nil, append([]string{promtool}, args...)...); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// TestEachAlertIsTriedAndExplained: it has a test in which it fires, one in which it does not, and a
// section of the runbook to which it leads.
func TestEachAlertIsTriedAndExplained(t *testing.T) {
	rules, tests, book := readRoot(t, rulesFile), readRoot(t, "deploy/prometheus/wsify.rules.test.yml"), readRoot(t, "docs/runbook.md")
	for _, name := range alerts(t) {
		for _, want := range []string{name + " fires", name + " stays quiet"} {
			if !strings.Contains(tests, "- name: "+want+"\n") {
				t.Errorf("no test says: %s", want)
			}
		}
		if !strings.Contains(rules, "runbook_url: docs/runbook.md#"+strings.ToLower(name)+"\n") || !strings.Contains(book, "\n## "+name+"\n") {
			t.Errorf("%s has no section in docs/runbook.md, or does not lead there", name)
		}
	}
	for _, found := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(book, -1) {
		if !slices.Contains(alerts(t), found[1]) {
			t.Errorf("docs/runbook.md explains %s, which is no alert", found[1])
		}
	}
}

// panel is a panel of the dashboard.
type panel struct {
	ID      int
	Title   string
	Type    string
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ RefID, Expr string }
}

// dashboard returns the panels, with the dashboard's variables replaced as Grafana would.
func dashboard(t *testing.T) []panel {
	t.Helper()
	text := strings.NewReplacer(`$__rate_interval`, "1m", `$job`, "wsify", `$instance`, ".*").Replace(readRoot(t, dashboardFile))
	var d struct {
		Title  string
		Panels []panel
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d.Panels
}

// TestPanelsOfTheDashboard have an id of their own, a query unless they are rows, and do not overlap.
func TestPanelsOfTheDashboard(t *testing.T) {
	type cell struct{ x, y int }
	ids, cells := map[int]bool{}, map[cell]string{}
	for _, p := range dashboard(t) {
		if ids[p.ID] || p.Title == "" || (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("panel %d, %q, a %s, with %d queries", p.ID, p.Title, p.Type, len(p.Targets))
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[cell{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q is outside, or over %q", p.Title, other)
				}
				cells[cell{x, y}] = p.Title
			}
		}
	}
}
