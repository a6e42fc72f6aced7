package auth

import (
	"errors"
	"strings"
	"testing"
)

// consult asks a webhook that answers with this head, and returns what the headers say.
func consult(t *testing.T, status string, headers ...string) Answer {
	t.Helper()
	p := newPeer(t, answering(head(status, append(headers, "Content-Length: 0")...)))
	_, a, cause := newClient(t, Config{URL: p.URL}).Consult(join())
	if status := (*StatusError)(nil); cause != nil && !errors.As(cause, &status) {
		t.Fatalf("%q: %v", headers, cause)
	}
	if a == nil {
		return Answer{}
	}
	return *a
}

// ignored returns what is wrong with the headers of a.
func ignored(a Answer) string {
	var all []string
	for _, e := range a.Ignored {
		all = append(all, e.Error())
	}
	return strings.Join(all, "; ")
}

// The answer to a question may name the user. What breaks a rule names nobody, and says why.
func TestAnAnswerNamesTheUser(t *testing.T) {
	long := strings.Repeat("é", 127)
	for value, want := range map[string]string{
		"ann":                                   "ann",
		"  ann  ":                               "ann", // RFC 9110, section 5.5
		"user%3A%C3%A9%2C%20+%25":               "user:é, +%",
		"Jos\u00e9":                             "José", // UTF-8 that is not encoded
		"%0D%0A%00":                             "\r\n\x00",
		strings.ReplaceAll(long, "é", "%c3%A9"): long,
		long + "x":                              long + "x", // 255 bytes
	} {
		if a := consult(t, "200 OK", "x-wsify-USER: "+value); a.User != want || a.Ignored != nil {
			t.Errorf("X-Wsify-User: %s: the user is %q, ignored: %s; want %q", value, a.User, ignored(a), want)
		}
	}
	for value, want := range map[string]string{
		"":                     "it is empty",
		"a%":                   "a % is not followed by two hexadecimal digits",
		"a%2":                  "a % is not followed by two hexadecimal digits",
		"%zz":                  "a % is not followed by two hexadecimal digits",
		"Jos\xe9":              "it is not UTF-8 when it is decoded",
		"%ED%A0%80":            "it is not UTF-8 when it is decoded", // half a surrogate pair
		long + "xx":            "it has more than 255 bytes when it is decoded",
		"a\r\nX-WSIFY-USER: a": "it is there more than once",
	} {
		if a := consult(t, "200 OK", "X-Wsify-User: "+value); a.User != "" || ignored(a) != "X-Wsify-User: "+want {
			t.Errorf("X-Wsify-User: %q: the user is %q, ignored: %q; want nobody, %s", value, a.User, ignored(a), want)
		}
	}
}

// Only a yes names a user.
func TestANoNamesNoUser(t *testing.T) {
	for _, status := range []string{"403 Forbidden", "204 No Content", "500 Internal Server Error"} {
		if a := consult(t, status, "X-Wsify-User: ann"); a.User != "" || a.Ignored != nil {
			t.Errorf("%s: the user is %q, ignored: %s", status, a.User, ignored(a))
		}
	}
}
