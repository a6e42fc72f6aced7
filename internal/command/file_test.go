package command

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// fileCase is one case of a file in testdata: an input and the expected result.
type fileCase struct {
	line  int
	input string
	want  string
}

// readCases reads the cases of a file in testdata.
func readCases(t testing.TB, name string) []fileCase {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var cases []fileCase
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "= "):
			cases[len(cases)-1].want = line[2:]
		case strings.HasPrefix(line, "go:"):
			input, err := strconv.Unquote(line[3:])
			if err != nil {
				t.Fatalf("testdata/%s:%d: %v", name, i+1, err)
			}
			cases = append(cases, fileCase{line: i + 1, input: input})
		default:
			cases = append(cases, fileCase{line: i + 1, input: line})
		}
	}
	return cases
}

// describe returns the result of Parse in the form that the files use.
func describe(c Command, err *Error) string {
	var b strings.Builder
	if err != nil {
		fmt.Fprintf(&b, "%s: %s", err.Code, err.Message)
	} else {
		fmt.Fprintf(&b, "%s %q", c.Kind, c.Channel)
		if c.Content != nil {
			fmt.Fprintf(&b, " content=%s", c.Content)
		}
	}
	if c.ID != nil {
		fmt.Fprintf(&b, " id=%s", c.ID)
	}
	if err != nil && len(c.Name) > 0 {
		fmt.Fprintf(&b, " command=%s", c.Name)
	}
	return b.String()
}

func TestMessagesOfTheFiles(t *testing.T) {
	var p Parser // one for all cases: no message may affect the next
	for _, name := range []string{"accepted.txt", "refused.txt"} {
		for _, tc := range readCases(t, name) {
			if got := describe(p.Parse([]byte(tc.input))); got != tc.want {
				t.Errorf("testdata/%s:%d: Parse(%q)\n got %s\nwant %s", name, tc.line, tc.input, got, tc.want)
			}
		}
	}
}

func TestPublicationsOfTheFiles(t *testing.T) {
	for _, name := range []string{"publication_accepted.txt", "publication_refused.txt"} {
		for _, tc := range readCases(t, name) {
			if got := describePublication(ParsePublication([]byte(tc.input))); got != tc.want {
				t.Errorf("testdata/%s:%d: ParsePublication(%q)\n got %s\nwant %s", name, tc.line, tc.input, got, tc.want)
			}
		}
	}
}

func describePublication(p Publication, err *Error) string {
	if err != nil {
		return err.Code + ": " + err.Message
	}
	return fmt.Sprintf("%q content=%s", p.Channel, p.Content)
}

// The files are also the seeds of the fuzz targets, so each case has to agree
// with encoding/json.
func TestFilesAgreeWithEncodingJSON(t *testing.T) {
	for _, name := range []string{"accepted.txt", "refused.txt"} {
		for _, tc := range readCases(t, name) {
			compareParse(t, []byte(tc.input))
		}
	}
	for _, name := range []string{"publication_accepted.txt", "publication_refused.txt"} {
		for _, tc := range readCases(t, name) {
			comparePublication(t, []byte(tc.input))
		}
	}
}
