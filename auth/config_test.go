package auth

import (
	"strings"
	"testing"
	"time"
)

func TestBadURLNamesTheFlag(t *testing.T) {
	urls := []string{
		"", "example.test", "example.test:8080/auth", "/auth", "//example.test/", "ftp://example.test/",
		"unix:/run/auth.sock", "http://", "http:///auth", "http://:8080/", "http:example.test",
		"http://example.test:port/", "http://example.test:70000/", "http://exa mple.test/", "http://[::1/",
		"http://a,b/", "http://bücher.test/", "http://example.test/#part", "http://example.test/\r\nX: y",
		"http://example.test/%zz", "http://u:p ss@example.test/",
	}
	for _, url := range urls {
		c, err := New(Config{URL: url})
		if err == nil {
			c.Close()
			t.Errorf("New takes %q", url)
			continue
		}
		if !strings.HasPrefix(err.Error(), "-authorizer-url: ") {
			t.Errorf("New(%q): %q does not name the flag", url, err)
		}
	}
}

func TestErrorsKeepThePassword(t *testing.T) {
	urls := []string{
		"http://ann:s3cr/t@example.test/", "http://ann:s3cr t@example.test/", "http://ann:s3cr%zz@example.test/",
		"ftp://ann:s3cr@example.test/", "http://ann:s3cr@:80/", "http://ann:s3cr@example.test:port/",
		"http://ann:s3cr@example.test/#x", "http://ann:s3cr@a,b/",
	}
	for _, url := range urls {
		if _, err := New(Config{URL: url}); err == nil || strings.Contains(err.Error(), "s3cr") {
			t.Errorf("New(%q): %v, want an error without the password", url, err)
		}
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	err := Config{Timeout: -time.Second, MaxConns: -1, MaxResponseSize: -1, UserAgent: "a\r\nb"}.Validate()
	for _, part := range []string{"-authorizer-url", "-authorizer-timeout", "MaxConns", "MaxResponseSize", "UserAgent"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Validate = %v, want %s in it", err, part)
		}
	}
	if err := (Config{URL: "http://localhost"}).Validate(); err != nil {
		t.Errorf("the zero Config with a URL is refused: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	c := newClient(t, Config{URL: "http://localhost", Timeout: 0})
	if c.host.MaxConns != 256 || c.host.MaxResponseBodySize != 64<<10 {
		t.Errorf("MaxConns %d, MaxResponseSize %d", c.host.MaxConns, c.host.MaxResponseBodySize)
	}
	if got := (Config{}).withDefaults().Timeout; got != 5*time.Second {
		t.Errorf("Timeout %s, want 5s", got)
	}
}

// The client also sends events, whose URL is another setting.
func TestABadURLNamesTheSettingItIsFrom(t *testing.T) {
	if _, err := New(Config{URL: "ftp://a", Setting: "-events-url"}); err == nil || !strings.HasPrefix(err.Error(), "-events-url: ") {
		t.Errorf("%v does not name -events-url", err)
	}
}
