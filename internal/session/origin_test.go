package session

import "testing"

// Every pattern that CheckOrigin accepts must be able to match an origin.
func TestAnAcceptedOriginMatchesWhatABrowserSends(t *testing.T) {
	for pattern, origin := range map[string]string{
		"null":                       "null",
		"https://example.com":        "https://example.com",
		"HTTPS://Example.COM":        "https://example.com",
		"https://*.example.com":      "https://a.b.example.com",
		"https://*.example.com:8443": "https://a.example.com:8443",
		"http://[::1]:8080":          "http://[::1]:8080",
		"https://example.com:443":    "https://example.com",
		"https://*.example.com:443":  "https://a.example.com",
		"wss://example.com":          "https://example.com",
		"ws://*.example.com:80":      "http://a.example.com",
	} {
		if err := CheckOrigin(pattern); err != nil {
			t.Errorf("%q: %v", pattern, err)
		}
		if o := newOrigins([]string{pattern}); !o.allow([]byte(origin), nil) {
			t.Errorf("pattern %q does not allow %q", pattern, origin)
		}
	}
}
