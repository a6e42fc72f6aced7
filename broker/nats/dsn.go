package nats

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"wsify/broker"
	"wsify/broker/internal/dsn"
)

// How a connection to a server is watched. A server that is silent is noticed when
// its third answer in a row is missing: 9 to 12 seconds.
const (
	pingInterval = 3 * time.Second
	pingsOut     = 2
	writeTimeout = broker.PublishTimeout

	connectTimeout = 3 * time.Second // to reach one server, by default
	defaultURL     = "nats://localhost:4222"
)

// address is how NATS servers are reached.
type address struct {
	servers        []*url.URL // with their user and password, or token
	creds, nkey    string     // files
	certificates   dsn.TLS
	name           string
	connectTimeout time.Duration
}

// parameters is what may stand behind the question mark.
func (d *address) parameters() []dsn.Parameter {
	return append(d.certificates.Parameters(),
		dsn.Parameter{Name: "connect_timeout", Set: dsn.Duration(&d.connectTimeout)},
		dsn.Parameter{Name: "creds", Set: dsn.Text(&d.creds)},
		dsn.Parameter{Name: "name", Set: dsn.Text(&d.name)},
		dsn.Parameter{Name: "nkey", Set: dsn.Text(&d.nkey)},
	)
}

// checkDSN returns what is wrong with the address of NATS servers, without a
// secret that is in it. The files that it names are read.
func checkDSN(text string) error {
	d, err := parseDSN(text)
	if err != nil {
		return err
	}
	_, err = d.options()
	return err
}

// parseDSN reads no files. Its errors quote nothing that may be part of a secret.
func parseDSN(text string) (*address, error) {
	d := &address{name: "wsify", connectTimeout: connectTimeout}
	servers, query, _ := strings.Cut(strings.TrimSpace(text), "?")
	if servers == "" {
		servers = defaultURL
	}
	for i, text := range strings.Split(servers, ",") {
		u, err := parseServer(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("NATS server %d: %w", i+1, err)
		}
		d.servers = append(d.servers, u)
	}
	if err := dsn.Read(query, d.parameters()); err != nil {
		return nil, err
	}
	return d, d.check()
}

// parseServer returns the URL of one server.
func parseServer(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	u, err := url.Parse(text)
	if err != nil { // it quotes, so it is not passed on
		return nil, errors.New("this is not a URL; in a user, password or token, other characters than letters and digits are written as in %40")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
		return nil, errors.New("a URL begins with nats://, tls://, ws:// or wss://")
	case u.Hostname() == "":
		return nil, errors.New("the URL has no host")
	case u.Port() != "" && (err != nil || port == 0):
		return nil, errors.New("the port is not a number from 1 to 65535")
	case u.Path != "" && u.Path != "/" || u.Fragment != "":
		return nil, errors.New("the URL has something behind host and port; a '/' or '#' in a password is written as %2F or %23")
	}
	u.Path = ""
	return u, nil
}

// check returns an error when parts of the address contradict each other.
func (d *address) check() error {
	ws := strings.HasPrefix(d.servers[0].Scheme, "ws")
	users := 0
	for _, u := range d.servers {
		if strings.HasPrefix(u.Scheme, "ws") != ws {
			return errors.New("the DSN mixes ws:// or wss:// with nats:// or tls://")
		}
		if u.User != nil {
			users = 1
		}
	}
	for _, file := range []string{d.creds, d.nkey} {
		if file != "" {
			users++
		}
	}
	if users > 1 {
		return errors.New("the DSN says who we are in more than one way: a user or token in a URL, creds, nkey")
	}
	return d.certificates.Check()
}

// String returns the servers, without secrets.
func (d *address) String() string {
	var names []string
	for _, u := range d.servers {
		names = append(names, u.Scheme+"://"+u.Host)
	}
	return strings.Join(names, ",")
}

// secrets returns what must not reach a log.
func (d *address) secrets() (s dsn.Secrets) {
	for _, u := range d.servers {
		if password, ok := u.User.Password(); ok {
			s = append(s, password)
		} else {
			s = append(s, u.User.Username()) // a token
		}
	}
	return s
}

// options reads the files and returns how to connect.
func (d *address) options() (nats.Options, error) {
	o := nats.GetDefaultOptions()
	o.AllowReconnect = false // Remote does that, with what else it has to do then
	o.PingInterval, o.MaxPingsOut = pingInterval, pingsOut
	o.FlusherTimeout = writeTimeout
	o.Timeout = d.connectTimeout
	o.Name = d.name
	for _, u := range d.servers {
		o.Servers = append(o.Servers, u.String())
		if user := u.User; user != nil && o.User == "" && o.Token == "" {
			if password, ok := user.Password(); ok {
				o.User, o.Password = user.Username(), password
			} else {
				o.Token = user.Username()
			}
		}
	}
	for _, set := range []func(*nats.Options) error{d.credentials, d.tls} {
		if err := set(&o); err != nil {
			return o, fmt.Errorf("NATS at %s: %w", d, err)
		}
	}
	return o, nil
}

// credentials sets who we are, from a file.
func (d *address) credentials(o *nats.Options) error {
	switch {
	case d.creds != "":
		if err := nats.UserCredentials(d.creds)(o); err != nil {
			return fmt.Errorf("creds: %w", err)
		}
		if _, err := o.UserJWT(); err != nil {
			return fmt.Errorf("creds: %w", err)
		}
		if _, err := o.SignatureCB([]byte("nonce")); err != nil {
			return fmt.Errorf("creds: %w", err)
		}
	case d.nkey != "":
		set, err := nats.NkeyOptionFromSeed(d.nkey)
		if err != nil {
			return fmt.Errorf("nkey: %w", err)
		}
		return set(o)
	}
	return nil
}

// tls sets whom we believe, and our certificate.
func (d *address) tls(o *nats.Options) error {
	if d.certificates != (dsn.TLS{}) {
		config, err := d.certificates.Config()
		if err != nil {
			return err
		}
		o.TLSConfig, o.Secure = config, true
	}
	o.IgnoreDiscoveredServers = d.ownServersOnly(o.Secure)
	return nil
}

// ownServersOnly reports whether the servers that a server tells of are not to be
// trusted. It tells of them before TLS begins, so anybody on the way could name one of
// their own, and we would log in there: if its certificate is by one of those that
// sign for everybody, it would be taken.
func (d *address) ownServersOnly(secure bool) bool {
	for _, u := range d.servers {
		secure = secure || u.Scheme == "tls"
	}
	return secure && d.certificates.CA == "" && !d.certificates.SkipVerify && !strings.HasPrefix(d.servers[0].Scheme, "ws")
}
