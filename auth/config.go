package auth

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

const (
	defaultTimeout         = 5 * time.Second
	defaultMaxConns        = 256
	defaultMaxResponseSize = 64 << 10
	defaultUserAgent       = "wsify"

	// idleTimeout is how long an unused connection is kept. Node and Apache
	// close theirs after 5s; being first avoids writing into a closing one.
	idleTimeout = 4 * time.Second

	// maxHeadSize is the longest head of an answer, in bytes; a longer one is
	// ResultMalformed. It is also the size of the pooled read buffers.
	maxHeadSize = 16 << 10
)

// Config says which webhook to call, and its bounds. New copies it.
type Config struct {
	// URL of the webhook, http or https. A user and password in it are sent as
	// Basic authentication (RFC 7617); path and query are sent as written.
	URL string

	// Timeout bounds a whole call, dialling included. A call that takes longer
	// is Down. Zero means 5s.
	Timeout time.Duration

	// MaxConns is how many calls may be under way at once. Further ones wait,
	// inside their Timeout, and are Down when it ends. Zero means 256.
	MaxConns int

	// MaxResponseSize bounds the body of an answer that is read, in bytes. The status of a larger
	// answer still decides, but its connection is closed. Zero means 64 KiB.
	MaxResponseSize int

	// HeadDecides makes the head of an answer the whole answer: its status counts even if the body is
	// cut off or does not end. The body is then waited for only briefly, so that a connection can be
	// used again. Without it half an answer is Down.
	HeadDecides bool

	// UserAgent is sent with every call. Empty means "wsify".
	UserAgent string

	// Setting is what errors call the setting that has the URL. Empty means "-authorizer-url".
	Setting string

	// TLSConfig is used for https. Nil means the system's roots and Go's
	// defaults. ServerName is taken from the URL where it is empty; HTTP/1.1
	// is the only protocol offered, whatever NextProtos says.
	TLSConfig *tls.Config
}

// Validate returns all problems at once, or nil. No error has a password.
func (cfg Config) Validate() error {
	var problems []error
	if _, err := parseURL(cfg.URL); err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", cmp.Or(cfg.Setting, "-authorizer-url"), err))
	}
	if cfg.Timeout < 0 {
		problems = append(problems, fmt.Errorf("-authorizer-timeout: %s is negative", cfg.Timeout))
	}
	if cfg.MaxConns < 0 {
		problems = append(problems, fmt.Errorf("authorizer: MaxConns %d is negative", cfg.MaxConns))
	}
	if cfg.MaxResponseSize < 0 {
		problems = append(problems, fmt.Errorf("authorizer: MaxResponseSize %d is negative", cfg.MaxResponseSize))
	}
	if strings.ContainsFunc(cfg.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		problems = append(problems, fmt.Errorf("authorizer: UserAgent %q is not printable ASCII", cfg.UserAgent))
	}
	return errors.Join(problems...)
}

func (cfg Config) withDefaults() Config {
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	cfg.MaxConns = cmp.Or(cfg.MaxConns, defaultMaxConns)
	cfg.MaxResponseSize = cmp.Or(cfg.MaxResponseSize, defaultMaxResponseSize)
	cfg.UserAgent = cmp.Or(cfg.UserAgent, defaultUserAgent)
	return cfg
}

// parseURL parses the URL of a webhook.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	beforeQuery, _, _ := strings.Cut(raw, "?")
	if err != nil {
		return nil, withoutSecret(raw, err)
	}
	switch host := u.Hostname(); {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("it must start with http:// or https://, got scheme %q", u.Scheme)
	case host == "":
		return nil, errors.New("it names no host")
	case strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' }):
		return nil, fmt.Errorf("host %q is not plain ASCII (write a name in other letters as xn--…)", host)
	case strings.Contains(beforeQuery, " "): // a second value, or a path that was not encoded
		return nil, errors.New("there is a space in it; in a path it is written %20")
	case u.Fragment != "":
		return nil, errors.New("a #fragment is never sent, remove it")
	}
	if port := u.Port(); port != "" {
		if _, err := net.LookupPort("tcp", port); err != nil {
			return nil, fmt.Errorf("port %s is not between 0 and 65535", port)
		}
	}
	return u, nil
}

// withoutSecret removes from err what it quotes of raw, which may hold a password.
func withoutSecret(raw string, err error) error {
	if strings.Contains(raw, "@") {
		return errors.New("it cannot be parsed (special characters in the password must be percent-encoded)")
	}
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// address returns the host and port to dial.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// display returns the URL without user, password and query.
func display(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}
