package auth

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func fresh(headers ...string) (freshness, error) {
	var all [][]byte
	for _, h := range headers {
		all = append(all, []byte(h))
	}
	return freshnessOf(all)
}

func TestCacheControlSaysForHowLongAndForWhom(t *testing.T) {
	const minute = time.Minute
	for header, want := range map[string]freshness{
		"max-age=60":                                  {minute, false},
		"Max-Age=60":                                  {minute, false},
		`max-age="60"`:                                {minute, false},
		"max-age=060":                                 {minute, false},
		"max-age=60, private":                         {minute, false},
		"public, max-age=60":                          {minute, true},
		" ,, PUBLIC\t,max-age=60 ,":                   {minute, true},
		`max-age=60, public="x"`:                      {minute, true},
		"max-age=60, public, private":                 {minute, false}, // the stricter one
		`max-age=60, public, private="Set-Cookie"`:    {minute, false},
		"max-age=60, must-revalidate, x=y, immutable": {minute, false},
		`x="max-age=1, no-store", max-age=60`:         {minute, false},
		`x="a\", no-store", max-age=60`:               {minute, false},
		"max-age=60, s-maxage=5":                      {minute, false},
		"s-maxage=60":                                 {},
		"public":                                      {},
		"max-age=0, public":                           {},
		"max-age=60, no-store":                        {},
		"no-store, max-age=60, public":                {},
		"max-age=60, no-cache":                        {},
		`max-age=60, no-cache="Set-Cookie"`:           {},
		"no-cache, private":                           {},
		"":                                            {},
		"max-age=2147483647":                          {(1<<31 - 1) * time.Second, false},
		"max-age=2147483648":                          {maxFresh, false},
		"max-age=" + strings.Repeat("9", 1000):        {maxFresh, false},
		"max-age60":                                   {},
	} {
		if got, err := fresh(header); err != nil || got != want {
			t.Errorf("Cache-Control: %s: %+v, %v; want %+v", header, got, err, want)
		}
	}
	if got, err := fresh("max-age=60", "public"); err != nil || got != (freshness{minute, true}) {
		t.Errorf("two headers: %+v, %v; want one list", got, err)
	}
}

func TestCacheControlThatIsWrongKeepsNothing(t *testing.T) {
	for header, want := range map[string]error{
		"max-age":                errMaxAge,
		"max-age=":               errDirective,
		`max-age=""`:             errMaxAge,
		"max-age=-1":             errMaxAge,
		"max-age=1.5":            errMaxAge,
		"max-age=1m":             errMaxAge,
		"max-age = 60":           errDirective,
		"max-age=60, max-age=60": errTwoAges,
		"max-age=60 public":      errDirective,
		`max-age="60`:            errDirective,
		`max-age="60\`:           errDirective,
		`max-age="60"x`:          errDirective,
		"max-age=60, =1":         errDirective,
		"max-age=60; public":     errDirective,
		"max-age=60, p\x7f":      errDirective,
		"max-age=60, é":          errDirective,
	} {
		if got, err := fresh(header); !errors.Is(err, want) || got != (freshness{}) {
			t.Errorf("Cache-Control: %s: %+v, %v; want nothing kept, %v", header, got, err, want)
		}
	}
}

func TestAnAnswerMayBeKept(t *testing.T) {
	for _, status := range []string{"200 OK", "403 Forbidden", "204 No Content"} {
		a := consult(t, status, "cache-control: max-age=60", "Cache-Control: public")
		if a.MaxAge != time.Minute || !a.Public || a.Ignored != nil {
			t.Errorf("%s: for %v, public %t, ignored: %s; want a minute, for everybody", status, a.MaxAge, a.Public, ignored(a))
		}
	}
	if a := consult(t, "503 Service Unavailable", "Cache-Control: max-age=60"); a.MaxAge != 0 {
		t.Errorf("503: for %v, want never", a.MaxAge)
	}
	if a := consult(t, "200 OK", "Cache-Control: max-age=soon"); a.MaxAge != 0 || ignored(a) != "Cache-Control: max-age is not a whole number of seconds" {
		t.Errorf("max-age=soon: for %v, ignored: %q; want never, and why", a.MaxAge, ignored(a))
	}
}

// FuzzCacheControl: a list means the same in one header and in several, whatever forbids keeping
// wins, and a time is within bounds.
func FuzzCacheControl(f *testing.F) {
	for _, seed := range []string{"max-age=60, public", `private="a,b", max-age="60"`, "no-store", `x="\"", max-age=1`, "max-age=99999999999", "max-age=1,max-age=1", ", ,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, err := fresh(header)
		if err != nil && got != (freshness{}) || got.maxAge < 0 || got.maxAge > maxFresh || got.public && got.maxAge == 0 {
			t.Fatalf("%q: %+v, %v", header, got, err)
		}
		for i := range header {
			if before, after := header[:i], header[i:]; after[0] == ',' && strings.Count(before, `"`) == 0 {
				if again, errAgain := fresh(before, after[1:]); again != got || (err == nil) != (errAgain == nil) {
					t.Fatalf("%q in two headers at %d: %+v, %v; in one: %+v, %v", header, i, again, errAgain, got, err)
				}
			}
		}
		if strict, err := fresh(header, "no-store"); strict != (freshness{}) {
			t.Fatalf("%q with no-store: %+v, %v", header, strict, err)
		}
		if narrow, _ := fresh(header, "private"); narrow.public {
			t.Fatalf("%q with private is public", header)
		}
	})
}
