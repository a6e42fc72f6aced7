package dsn

import (
	"strings"
	"testing"
	"time"
)

func TestParametersAreRead(t *testing.T) {
	const nothing = "nothing"
	for query, want := range map[string]string{
		"":                             nothing,
		"name=a%20b&wait=3s&on":        nothing,
		"many=1&many=2&old=1&on=false": nothing,
		"name=a&name=secret":           "the DSN has name more than once",
		"wait=secret":                  "the DSN's wait must be a duration above zero with a unit, as in 5s",
		"wait=0s":                      "the DSN's wait must be a duration above zero with a unit, as in 5s",
		"on=secret":                    "the DSN's on must be true or false",
		"secre":                        `the DSN has an unknown parameter "secre"; there are many, name, on, wait. A '?' in a password is written as %3F`,
		"secret=a@host":                "the DSN has an unknown parameter; there are many, name, on, wait. A '?' in a password is written as %3F",
		"s3cret":                       "the DSN has an unknown parameter; there are many, name, on, wait. A '?' in a password is written as %3F",
		"name=%zzsecret":               errQuery.Error(),
	} {
		var name string
		var on bool
		var wait time.Duration
		err := Read(query, []Parameter{
			{Name: "name", Set: Text(&name)}, {Name: "on", Set: Switch(&on)}, {Name: "wait", Set: Duration(&wait)},
			{Name: "many", Set: func(string) error { return nil }, Repeated: true},
			{Name: "old", Set: func(string) error { return nil }, Unlisted: true},
		})
		said := nothing
		if err != nil {
			said = err.Error()
		}
		if said != want || strings.Contains(said, "secret") {
			t.Errorf("%q: %s, want %s", query, said, want)
		}
		if query == "name=a%20b&wait=3s&on" && (name != "a b" || wait != 3*time.Second || !on) {
			t.Errorf("%q: name %q, wait %s, on %t", query, name, wait, on)
		}
	}
}
