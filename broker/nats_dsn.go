package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// How a connection to a server is watched. A server that is silent is noticed when
// its third answer in a row is missing: 9 to 12 seconds.
const (
	natsPingInterval = 3 * time.Second
	natsPingsOut     = 2
	natsWriteTimeout = publishTimeout

	natsConnectTimeout = 3 * time.Second // to reach one server, by default
	natsDefaultURL     = "nats://localhost:4222"
)

// natsDSN is how NATS servers are reached.
type natsDSN struct {
	servers        []*url.URL // with their user and password, or token
	creds, nkey    string     // files
	ca, cert, key  string     // files
	skipVerify     bool
	name           string
	connectTimeout time.Duration
}

// natsParameters sets what follows the question mark of a DSN, by name.
var natsParameters = map[string]func(d *natsDSN, value string) error{
	"creds": func(d *natsDSN, v string) error { d.creds = v; return nil },
	"nkey":  func(d *natsDSN, v string) error { d.nkey = v; return nil },
	"ca":    func(d *natsDSN, v string) error { d.ca = v; return nil },
	"cert":  func(d *natsDSN, v string) error { d.cert = v; return nil },
	"key":   func(d *natsDSN, v string) error { d.key = v; return nil },
	"name":  func(d *natsDSN, v string) error { d.name = v; return nil },
	"skip_verify": func(d *natsDSN, v string) (err error) {
		d.skipVerify = true
		if v != "" {
			d.skipVerify, err = strconv.ParseBool(v)
		}
		return err
	},
	"connect_timeout": func(d *natsDSN, v string) (err error) {
		d.connectTimeout, err = time.ParseDuration(v)
		if err == nil && d.connectTimeout <= 0 {
			err = errors.New("it is not above zero")
		}
		return err
	},
}

// CheckNATSDSN returns what is wrong with the address of NATS servers, without a
// secret that is in it. The files that it names are read.
//
// An address is one or more URLs with commas between them, nats://user:pass@host:4222,
// nats://token@host or tls://host, and also ws:// and wss://, and after them
// parameters as in ?creds=FILE&name=wsify. Servers without a user get that of the
// first that has one. Nothing at all means nats://localhost:4222.
//
// Other servers that a server tells of are used, too, except with TLS and without ca:
// then all have to be named here.
func CheckNATSDSN(dsn string) error {
	d, err := parseNATSDSN(dsn)
	if err != nil {
		return err
	}
	_, err = d.options()
	return err
}

// parseNATSDSN reads no files. Its errors quote nothing that may be part of a secret.
func parseNATSDSN(dsn string) (*natsDSN, error) {
	d := &natsDSN{name: "wsify", connectTimeout: natsConnectTimeout}
	servers, query, _ := strings.Cut(strings.TrimSpace(dsn), "?")
	if servers == "" {
		servers = natsDefaultURL
	}
	for i, text := range strings.Split(servers, ",") {
		u, err := parseNATSServer(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("NATS server %d: %w", i+1, err)
		}
		d.servers = append(d.servers, u)
	}
	if err := d.parameters(query); err != nil {
		return nil, err
	}
	return d, d.check()
}

// parseNATSServer returns the URL of one server.
func parseNATSServer(text string) (*url.URL, error) {
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

// parameterName is what can be quoted without fear that it is half a password.
var parameterName = regexp.MustCompile(`^[a-z_]{1,20}$`)

// parameters sets what is behind the question mark.
func (d *natsDSN) parameters(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the parameters of the NATS address cannot be read: they are written as in ?name=value&name=value, other characters as in %40")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		set := natsParameters[name]
		if set == nil {
			known := strings.Join(slices.Sorted(maps.Keys(natsParameters)), ", ")
			if strings.Contains(query, "@") || !parameterName.MatchString(name) {
				name = "?"
			}
			return fmt.Errorf("the NATS address has an unknown parameter %q; there are %s. A '?' in a password is written as %%3F", name, known)
		}
		if len(values[name]) > 1 {
			return fmt.Errorf("the NATS address has the parameter %s more than once", name)
		}
		if err := set(d, values.Get(name)); err != nil {
			return fmt.Errorf("the NATS address has a parameter %s that cannot be read: %w", name, err)
		}
	}
	return nil
}

// check returns an error when parts of the address contradict each other.
func (d *natsDSN) check() error {
	ws := strings.HasPrefix(d.servers[0].Scheme, "ws")
	users := 0
	for _, u := range d.servers {
		if strings.HasPrefix(u.Scheme, "ws") != ws {
			return errors.New("the NATS address mixes ws:// or wss:// with nats:// or tls://")
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
	switch {
	case users > 1:
		return errors.New("the NATS address says who we are in more than one way: a user or token in a URL, creds, nkey")
	case (d.cert == "") != (d.key == ""):
		return errors.New("the NATS address has one of cert and key; both are needed")
	}
	return nil
}

// String returns the servers, without secrets.
func (d *natsDSN) String() string {
	var names []string
	for _, u := range d.servers {
		names = append(names, u.Scheme+"://"+u.Host)
	}
	return strings.Join(names, ",")
}

// secrets returns what must not reach a log.
func (d *natsDSN) secrets() (s secrets) {
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
func (d *natsDSN) options() (nats.Options, error) {
	o := nats.GetDefaultOptions()
	o.AllowReconnect = false // Remote does that, with what else it has to do then
	o.PingInterval, o.MaxPingsOut = natsPingInterval, natsPingsOut
	o.FlusherTimeout = natsWriteTimeout
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
func (d *natsDSN) credentials(o *nats.Options) error {
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
func (d *natsDSN) tls(o *nats.Options) error {
	if d.ca != "" {
		if err := nats.RootCAs(d.ca)(o); err != nil {
			return fmt.Errorf("ca: %w", err)
		}
	}
	if d.cert != "" {
		if err := nats.ClientCert(d.cert, d.key)(o); err != nil {
			return fmt.Errorf("cert: %w", err)
		}
	}
	if d.skipVerify {
		if o.TLSConfig == nil {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.TLSConfig.InsecureSkipVerify = true
		o.Secure = true
	}
	o.IgnoreDiscoveredServers = d.ownServersOnly(o.Secure)
	return nil
}

// ownServersOnly reports whether the servers that a server tells of are not to be
// trusted. It tells of them before TLS begins, so anybody on the way could name one of
// their own, and we would log in there: if its certificate is by one of those that
// sign for everybody, it would be taken.
func (d *natsDSN) ownServersOnly(secure bool) bool {
	for _, u := range d.servers {
		secure = secure || u.Scheme == "tls"
	}
	return secure && d.ca == "" && !d.skipVerify && !strings.HasPrefix(d.servers[0].Scheme, "ws")
}
