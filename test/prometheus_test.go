package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wsify/internal/natstest"
	"wsify/internal/testtool"
)

// prometheus is a Prometheus that scrapes one server each second and has our alert rules.
type prometheus struct {
	*process
	url string
}

// startPrometheus starts one for the server at target. It scrapes native histograms, or classic ones.
func startPrometheus(t *testing.T, target string, native bool) *prometheus {
	t.Helper()
	program, dir := need(t, "prometheus", "prometheus"), t.TempDir()
	config := writeFile(t, dir, "prometheus.yml", fmt.Sprintf("global: { scrape_interval: 1s, evaluation_interval: 1s }\n"+
		"rule_files: [%q]\nscrape_configs: [{ job_name: wsify, static_configs: [{ targets: [%q] }] }]\n", filepath.Join(root, rulesFile), target))
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	args := []string{program, "--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + addr}
	if native {
		args = append(args, "--enable-feature=native-histograms")
	}
	return &prometheus{start(t, dir, nil, args...), "http://" + addr}
}

// ask asks the API and decodes the data of the answer into to. It reports false while there is none.
func (p *prometheus) ask(path string, values url.Values, to any) bool {
	p.t.Helper()
	answer, err := http.Get(p.url + path + "?" + values.Encode())
	if err != nil {
		return false // it has not begun to listen
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	var got struct {
		Status string
		Data   json.RawMessage
	}
	switch err := json.Unmarshal(body, &got); {
	case answer.StatusCode == http.StatusServiceUnavailable: // it starts
		return false
	case err != nil, got.Status != "success", json.Unmarshal(got.Data, to) != nil:
		p.t.Fatalf("%s %v: %d %s", path, values, answer.StatusCode, body)
	}
	return true
}

// values returns the values of an expression now.
func (p *prometheus) values(expr string) (values []string) {
	p.t.Helper()
	var got struct{ Result []struct{ Value [2]any } }
	p.ask("/api/v1/query", url.Values{"query": {expr}}, &got)
	for _, r := range got.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values
}

// has reports whether there are series of a selector.
func (p *prometheus) has(selector string) bool {
	p.t.Helper()
	var series []map[string]string
	return p.ask("/api/v1/series", url.Values{"match[]": {selector}}, &series) && len(series) > 0
}

// selectors finds the series that an expression names, with their labels.
var selectors = regexp.MustCompile(`\b(?:up|(?:wsify|process|go)_\w+)(?:\{[^}]*\})?`)

// TestDashboardAndAlertsOnARealPrometheus with each kind of histogram: every series that they name is
// there, every query has a result, and every rule can be evaluated.
func TestDashboardAndAlertsOnARealPrometheus(t *testing.T) {
	need(t, "prometheus", "prometheus")
	s := serve(t, "-admin-addr", "127.0.0.1:0", "-broker-driver", "nats", "-broker-dsn", natstest.Start(t, nil).URL,
		"-events", "disconnect", "-events-url", "http://127.0.0.1:9/")
	target := s.awaitAdmin()
	classic, native := startPrometheus(t, target, false), startPrometheus(t, target, true)
	for kind, p := range map[string]*prometheus{"classic": classic, "native": native} {
		testtool.Until(t, "there are two scrapes, "+kind, func() bool {
			return len(p.values("rate(wsify_connections_accepted_total[1m])")) > 0
		})
		rulesWork(t, p)
	}
	if !native.has("wsify_loop_lag_seconds") || native.has("wsify_loop_lag_seconds_bucket") || classic.has("wsify_loop_lag_seconds") {
		t.Fatal("the one does not scrape native histograms alone, or the other no classic ones")
	}
	expressions := readRoot(t, rulesFile)
	for _, p := range dashboard(t) {
		for _, target := range p.Targets {
			expressions += target.Expr + "\n"
			for kind, db := range map[string]*prometheus{"classic": classic, "native": native} {
				if got := db.values(target.Expr); len(got) == 0 && !rare(target.Expr) {
					t.Errorf("%s, %s: no result of %s", p.Title, kind, target.Expr)
				}
			}
			if strings.Contains(target.Expr, "loop_lag") {
				lagIsKnown(t, target.Expr, classic, native)
			}
		}
	}
	for _, selector := range selectors.FindAllString(expressions, -1) {
		if !classic.has(selector) && !native.has(selector) && !rare(selector) {
			t.Errorf("no series is %s", selector)
		}
	}
}

// rare reports whether an expression may have no result: some show only what has happened, and Linux
// before 6.2 has no number of descriptors.
func rare(expr string) bool {
	return strings.HasSuffix(expr, "> 0") || strings.HasPrefix(expr, "process_open_fds")
}

// rulesWork waits until every rule has been evaluated, and checks that it could be.
func rulesWork(t *testing.T, p *prometheus) {
	t.Helper()
	var got struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	testtool.Until(t, "all rules have been evaluated", func() bool {
		got.Groups = nil
		if !p.ask("/api/v1/rules", nil, &got) || len(got.Groups) == 0 {
			return false
		}
		for _, rule := range got.Groups[0].Rules {
			if rule.Health == "unknown" {
				return false
			}
		}
		return true
	})
	for _, rule := range got.Groups[0].Rules {
		if rule.Health != "ok" {
			t.Errorf("%s: %s %s", rule.Name, rule.Health, rule.LastError)
		}
	}
}

// lagIsKnown checks that both kinds of histogram give a number, and about the same one.
func lagIsKnown(t *testing.T, expr string, all ...*prometheus) {
	t.Helper()
	for _, p := range all {
		var lag float64
		got := p.values(expr)
		if len(got) != 1 {
			t.Errorf("%d values of %s", len(got), expr)
		} else if _, err := fmt.Sscan(got[0], &lag); err != nil || !(lag > 0 && lag < 60) {
			t.Errorf("%s is %v", expr, got)
		}
	}
}
