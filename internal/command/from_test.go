package command

import (
	"fmt"
	"strings"
	"testing"
)

var fromSeeds = []string{
	`"since":"e-1"`, `"last":5`, `"since":"e-1","last":5`, `"ſince":"e-1"`, `"since":"a","since":"b"`, `"since":null`, `"last":1e3`, `"laſt":1`, `"since":{}`, `"since":"\ud800"`,
}

func readFrom(members string) string {
	var p Parser
	c, bad := p.Parse([]byte(`{"command":"join","args":{"channel":"a"` + members + `}}`))
	if bad != nil {
		return "Parse: " + bad.Message
	}
	since, asked, last, bad := c.From.Read()
	if bad != nil {
		return bad.Message
	}
	return fmt.Sprintf("%q %t %d", since, asked, last)
}

func TestWhereAJoinBegins(t *testing.T) {
	for members, want := range map[string]string{
		``:                       `"" false 0`,
		`,"since":null`:          `"" false 0`,
		`,"last":null`:           `"" false 0`,
		`,"since":"e-1"`:         `"e-1" true 0`,
		`,"since":"\u0065-1"`:    `"e-1" true 0`,
		`,"since":""`:            `"" true 0`,
		`,"last":0`:              `"" false 0`,
		`,"last":999999999`:      `"" false 999999999`,
		`,"since":null,"last":3`: `"" false 3`,
		`,"since":"` + strings.Repeat("x", 64) + `"`:       fmt.Sprintf(`%q true 0`, strings.Repeat("x", 64)),
		`,"since":"` + strings.Repeat("x", 65) + `"`:       errSince.Message,
		`,"since":"` + strings.Repeat(`\u00e9`, 32) + `"`:  fmt.Sprintf(`%q true 0`, strings.Repeat("é", 32)),
		`,"since":"` + strings.Repeat(`\u00e9`, 32) + `x"`: errSince.Message,
		`,"since":1`:               errSince.Message,
		`,"since":["e-1"]`:         errSince.Message,
		`,"last":1000000000`:       errLast.Message,
		`,"last":-1`:               errLast.Message,
		`,"last":1.0`:              errLast.Message,
		`,"last":1e3`:              errLast.Message,
		`,"last":"1"`:              errLast.Message,
		`,"since":"e-1","last":1`:  errSinceAndLast.Message,
		`,"since":"a","since":"b"`: errFromUnclear.Message,
		`,"Since":"a"`:             errFromUnclear.Message,
		`,"laſt":1`:                errFromUnclear.Message,
	} {
		if got := readFrom(members); got != want {
			t.Errorf("a join with %s begins at %s; want %s", members, got, want)
		}
	}
}

func TestSinceAndLastOfOtherCommandsAreForOthers(t *testing.T) {
	var p Parser
	for _, msg := range []string{
		`{"command":"leave","args":{"channel":"a","since":1,"Since":2}}`,
		`{"command":"broadcast","args":{"channel":"a","content":1,"last":{},"LAST":2}}`,
		`{"command":"join","since":1,"last":2,"args":{"channel":"a","deep":{"since":1,"since":2}}}`,
	} {
		if c, bad := p.Parse([]byte(msg)); bad != nil || c.From != nil {
			t.Errorf("Parse(%s): %v, From %v", msg, bad, c.From)
		}
	}
}
