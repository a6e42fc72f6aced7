package test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var jsonField = regexp.MustCompile(`"(\w+)":`)

// The record on the page has the fields of a real one, in its order.
func TestReadmeHasARecordOfTheAccessLog(t *testing.T) {
	s := serve(t, "-access-log")
	answer, err := http.Get(s.http() + "/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	var logged string
	s.await("the record of the connection", func() bool {
		for line := range strings.Lines(s.output()) {
			if strings.Contains(line, `"msg":"connection ended"`) {
				logged = line
			}
		}
		return logged != ""
	})
	got, want := jsonField.FindAllString(logged, -1), jsonField.FindAllString(readme(t, "access log"), -1)
	if !slices.Equal(got, want) || !strings.Contains(logged, `"status":404,`) {
		t.Errorf("logged\n%swith the fields %q, the page has %q", logged, got, want)
	}
}
