// Package report makes a page of records: REPORT.md with its charts, and a report.html that stands alone. It
// knows nothing of what was measured, where, or how many there were.
package report

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	html "html/template"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	text "text/template"

	"wsify/bench/internal/record"
	"wsify/bench/internal/table"
)

// maxCharts is how many charts a report has at most.
const maxCharts = 12

type page struct {
	Records []recordView
	Charts  []chart
}

type recordView struct {
	*record.Record
	Scenarios []scenarioView
}

type scenarioView struct {
	Name    string
	Figures []figureView
}

type figureView struct {
	*record.Figure
	Label string
}

// Write writes REPORT.md, report.html, and a directory charts into dir, last.
func Write(dir string, records []*record.Record) error {
	charts, err := chartsOf(records, maxCharts)
	if err != nil {
		return err
	}
	p := page{Charts: charts}
	for _, r := range records {
		p.Records = append(p.Records, viewOf(r))
	}
	var page, md bytes.Buffer
	if err := errors.Join(htmlPage.Execute(&page, p), markdown.Execute(&md, p)); err != nil {
		return err
	}
	write := func(path string, content []byte) error {
		return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644))
	}
	err = errors.Join(write(filepath.Join(dir, "REPORT.md"), md.Bytes()), write(filepath.Join(dir, "report.html"), page.Bytes()))
	for i := 0; i < len(p.Charts) && err == nil; i++ {
		err = write(filepath.Join(dir, "charts", p.Charts[i].File), p.Charts[i].SVG)
	}
	return err
}

func viewOf(r *record.Record) recordView {
	v := recordView{Record: r}
	for i := range r.Figures {
		f := &r.Figures[i]
		if n := len(v.Scenarios); n == 0 || v.Scenarios[n-1].Name != f.Scenario {
			v.Scenarios = append(v.Scenarios, scenarioView{Name: f.Scenario})
		}
		s := &v.Scenarios[len(v.Scenarios)-1]
		s.Figures = append(s.Figures, figureView{f, table.Label(f, r.Vary)})
	}
	return v
}

func (f figureView) Judged() string {
	if f.Goal == nil {
		return ""
	}
	return f.Verdict + ": " + f.Goal.Text
}

func (v recordView) Title() string {
	if v.Remark != "" {
		return v.Remark
	}
	return "Run of " + v.Date.Format("2 January 2006")
}

// Where says on what a record was made.
func (v recordView) Where() string {
	m := v.Machine
	where := fmt.Sprintf("%s, %d cores, %s of memory, Linux %s, %d descriptors a process, load %.2f before the run, steal %.1f %%", m.CPU, m.Cores,
		table.Value(float64(m.Memory), "B"), m.Kernel, m.FileLimit, m.Load, 100*m.Steal)
	if len(v.Workers) > 0 {
		where += fmt.Sprintf("; %d workers on other machines", len(v.Workers))
	}
	return where
}

// Line is the command that made a record; it stands between backquotes.
func (v recordView) Line() string { return strings.ReplaceAll(strings.Join(v.Command, " "), "`", "'") }

var special = regexp.MustCompile("[|<>\\[\\]`*_\\\\]")

// cell makes text safe in a cell of a table.
func cell(text string) string {
	return special.ReplaceAllStringFunc(strings.Join(strings.Fields(text), " "), func(c string) string { return `\` + c })
}

var (
	//go:embed report.html.tmpl
	htmlText string
	//go:embed report.md.tmpl
	markdownText string

	funcs    = map[string]any{"value": table.Value, "cell": cell}
	htmlPage = html.Must(html.New("report").Funcs(funcs).Parse(htmlText))
	markdown = text.Must(text.New("report").Funcs(funcs).Parse(markdownText))
)
