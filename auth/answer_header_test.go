package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
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

// A trailer is no header: what follows the body grants nothing.
func TestATrailerNamesNoUser(t *testing.T) {
	trailer := "X-Wsify-User: ann\r\nX-Wsify-Join: c\r\nCache-Control: max-age=9\r\n\r\n"
	p := newPeer(t, answering(head("200 OK", "Transfer-Encoding: chunked")+"2\r\nok\r\n0\r\n"+trailer))
	if d, a, cause := newClient(t, Config{URL: p.URL}).Consult(join()); d != Allow || a != nil {
		t.Errorf("%v, %+v, %v; want %v and nothing else", d, a, cause, Allow)
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

// A yes may bound the life of the connection. A time that is over already is a bound, too.
func TestAnAnswerBoundsTheLifeOfTheConnection(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"3600":                   time.Hour,
		"1.5":                    1500 * time.Millisecond,
		"0":                      1,
		"-7":                     1,
		"9999999999":             maxExpires,
		strings.Repeat("9", 400): maxExpires,
	} {
		if a := consult(t, "200 OK", "X-Wsify-Expires: "+value); a.Expires != want || a.Ignored != nil {
			t.Errorf("X-Wsify-Expires: %s: %v, ignored: %s; want %v", value, a.Expires, ignored(a), want)
		}
	}
	for _, value := range []string{"", "soon", "1h", "1e3", "0x10", "1_000", "--1", "-", "Inf", "Sun, 06 Nov 2044 08:49:37 GMT"} {
		if a := consult(t, "200 OK", "X-Wsify-Expires: "+value); a.Expires != 0 || ignored(a) != "X-Wsify-Expires: it is not a number of seconds" {
			t.Errorf("X-Wsify-Expires: %q: %v, ignored: %q; want no bound", value, a.Expires, ignored(a))
		}
	}
	if a := consult(t, "200 OK", "X-Wsify-Expires: 1", "X-Wsify-Expires: 2"); a.Expires != 0 || ignored(a) != "X-Wsify-Expires: it is there more than once" {
		t.Errorf("two of X-Wsify-Expires: %v, ignored: %q; want no bound", a.Expires, ignored(a))
	}
}

// A no may give a reason, which is shown to the client.
func TestANoGivesAReason(t *testing.T) {
	full := strings.Repeat("é", 100)
	for value, want := range map[string]string{
		"the trial is over":                     "the trial is over",
		"100%25%20gone%2C%20%C2%AB%22%C2%BB":    `100% gone, «"»`,
		strings.ReplaceAll(full, "é", "%C3%A9"): full,
	} {
		if a := consult(t, "403 Forbidden", "X-Wsify-Reason: "+value); a.Reason != want || a.Ignored != nil {
			t.Errorf("X-Wsify-Reason: %s: %q, ignored: %s; want %q", value, a.Reason, ignored(a), want)
		}
	}
	for value, want := range map[string]string{
		"":                       "it is empty",
		full + "x":               "it has more than 200 bytes when it is decoded",
		"a%0D%0AB":               "it has a control character when it is decoded",
		"%7F":                    "it has a control character when it is decoded",
		"%C2%9B":                 "it has a control character when it is decoded",
		"%FF":                    "it is not UTF-8 when it is decoded",
		"50% off":                "a % is not followed by two hexadecimal digits",
		"a\r\nX-Wsify-Reason: b": "it is there more than once",
	} {
		if a := consult(t, "403 Forbidden", "X-Wsify-Reason: "+value); a.Reason != "" || ignored(a) != "X-Wsify-Reason: "+want {
			t.Errorf("X-Wsify-Reason: %q: %q, ignored: %q; want none, %s", value, a.Reason, ignored(a), want)
		}
	}
	for _, status := range []string{"200 OK", "503 Service Unavailable"} {
		if a := consult(t, status, "X-Wsify-Reason: why"); a.Reason != "" || a.Ignored != nil {
			t.Errorf("%s with a reason: %q, ignored: %s; want neither", status, a.Reason, ignored(a))
		}
	}
}

// A yes may name channels to join. Several headers are one list, empty parts are nothing, and one name
// that cannot be read spoils the list.
func TestAnAnswerNamesChannelsToJoin(t *testing.T) {
	for header, want := range map[string]string{
		"news":                             `["news"]`,
		"news, user%3A%C3%A9%2C,a b":       `["news" "user:é," "a b"]`,
		" ,, a\t, ,b,":                     `["a" "b"]`,
		"a,a":                              `["a" "a"]`,
		"a\r\nX-WSIFY-JOIN: b,c":           `["a" "b" "c"]`,
		"":                                 "[]",
		" , ":                              "[]",
		"%00a, %0A, %20":                   `["\x00a" "\n" " "]`, // what a name may be is for those who know channels
		strings.Repeat("a,", 1000):         fmt.Sprintf("%q", strings.Split(strings.Repeat("a,", 999)+"a", ",")),
		strings.Repeat("a%2C", 3000) + "a": `["` + strings.Repeat("a,", 3000) + `a"]`,
	} {
		if a := consult(t, "200 OK", "X-Wsify-Join: "+header); fmt.Sprintf("%q", a.Join) != want || a.Ignored != nil {
			t.Errorf("X-Wsify-Join: %.100q: %.100q, ignored: %s; want %.100s", header, a.Join, ignored(a), want)
		}
	}
	for header, want := range map[string]string{
		"a,b%":                 "a % is not followed by two hexadecimal digits",
		"%GG,b":                "a % is not followed by two hexadecimal digits",
		"a,%FF":                "it is not UTF-8 when it is decoded",
		"a\r\nX-Wsify-Join: %": "a % is not followed by two hexadecimal digits",
	} {
		if a := consult(t, "200 OK", "X-Wsify-Join: "+header); a.Join != nil || ignored(a) != "X-Wsify-Join: "+want {
			t.Errorf("X-Wsify-Join: %q: %q, ignored: %q; want none, %s", header, a.Join, ignored(a), want)
		}
	}
	if a := consult(t, "403 Forbidden", "X-Wsify-Join: a"); a.Join != nil {
		t.Errorf("a no joins %q", a.Join)
	}
}

// FuzzJoin: a list means the same in one header and in several, and whatever is encoded comes back.
func FuzzJoin(f *testing.F) {
	for _, seed := range []string{"news", "a,b", " a ,,%2C", "%", "%zz,a", "\xff", "%FF", "a%20b,\t", strings.Repeat("a,", 50)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		names, err := joinsOf([][]byte{[]byte(header)})
		var again []string
		for _, name := range names {
			if name == "" || !utf8.ValidString(name) {
				t.Fatalf("%q names %q", header, name)
			}
			again = append(again, string(appendEncoded(nil, name, unreserved)))
		}
		if back, errBack := joinsOf([][]byte{[]byte(strings.Join(again, ", "))}); errBack != nil || !slices.Equal(back, names) {
			t.Fatalf("%q names %q, and encoded %q, %v", header, names, back, errBack)
		}
		for i := range header {
			if header[i] != ',' {
				continue
			}
			split, errSplit := joinsOf([][]byte{[]byte(header[:i]), []byte(header[i+1:])})
			if !slices.Equal(split, names) || errSplit != err {
				t.Fatalf("%q in two headers at %d: %q, %v; in one: %q, %v", header, i, split, errSplit, names, err)
			}
		}
	})
}
