package session

import "testing"

// Only the key admits a publication: neither a local address, with a proxy or without, nor
// an Origin header does.
func TestOnlyTheKeyAdmitsAPublication(t *testing.T) {
	const body = `{"channel":"c","content":1}`
	const right, wrong = "Authorization: Bearer k", "Authorization: Bearer x"
	for _, c := range []struct {
		name   string
		key    string
		target string
		header []string
		want   int
	}{
		{"the key", "k", "/broadcast?key=k", nil, 201},
		{"the key in a header", "k", "/broadcast", []string{right}, 201},
		{"the key after another parameter", "a b&", "/broadcast?x=1&key=a+b%26", nil, 201},
		{"no key", "k", "/broadcast", nil, 403},
		{"an empty key", "k", "/broadcast?key", nil, 403},
		{"broken escapes", "k", "/broadcast?key=%6", nil, 403},
		{"the key, and -broadcast-open", "k", "/broadcast?key=k", nil, 201},
		{"no key, and -broadcast-open beside one", "k", "/broadcast", nil, 403},
		{"no key where none is set", "of this run", "/broadcast", nil, 403},
		{"no key where none is set, from a proxy", "of this run", "/broadcast", []string{"X-Forwarded-For: 127.0.0.1"}, 403},
		{"no key where none is set, from a page here", "of this run", "/broadcast", []string{"Origin: http://localhost:3000"}, 403},
		{"a wrong key where none is set", "of this run", "/broadcast?key=", nil, 403},
		{"no key, and -broadcast-open", "", "/broadcast", nil, 201},
		{"no key, and -broadcast-open, through a proxy", "", "/broadcast", []string{"X-Forwarded-For: 192.0.2.1"}, 201},
		{"another scheme, and -broadcast-open", "", "/broadcast", []string{"Authorization: Basic eDp5"}, 201},
		{"a wrong key, and -broadcast-open", "", "/broadcast", []string{wrong}, 403},
		{"a wrong key in the query, and -broadcast-open", "", "/broadcast?key=x", nil, 403},
		{"an empty key in a header, and -broadcast-open", "", "/broadcast", []string{"Authorization: Bearer "}, 403},
		{"an empty key, and -broadcast-open", "", "/broadcast?key=", nil, 403},
	} {
		srv := start(t, Config{BroadcastingKey: c.key})
		if res := post(t, srv, c.target, body, c.header...); res.status != c.want {
			t.Errorf("%s: %d %q, want %d", c.name, res.status, res.body, c.want)
		}
	}
}
