package nats

import (
	"cmp"
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

// How a connection is monitored. A server that does not answer is noticed when its third answer in
// a row is missing: after 9 to 12 seconds.
const (
	pingInterval = 3 * time.Second
	pingsOut     = 2

	connectTimeout = 3 * time.Second // to connect to one server, by default
	defaultURL     = "nats://localhost:4222"
)

// address is a parsed DSN.
type address struct {
	servers        []string      // URLs with user and password, or token
	shown          []string      // the same without credentials
	ws             bool          // all of them by WebSocket
	secure         bool          // TLS with one of them, and therefore with all
	user           *url.Userinfo // of the first that has one, for those without
	secrets        dsn.Secrets   // passwords and tokens; masked in what servers say
	creds, nkey    string        // files
	certificates   dsn.TLS
	name           string
	connectTimeout time.Duration
	replicas       int  // of the stream with the history; zero leaves it as it is
	memory         bool // a new stream is kept in memory, not in files
}

// readDSN parses a DSN, and reads the files that it names.
func readDSN(text string) (*address, error) {
	d, err := parseDSN(text)
	if err != nil {
		return nil, err
	}
	_, err = d.options()
	return d, err
}

// parseDSN parses a DSN and reads no files. Its errors quote nothing that may be part of a secret.
func parseDSN(text string) (*address, error) {
	d := &address{name: "wsify", connectTimeout: connectTimeout}
	servers, query, _ := strings.Cut(strings.TrimSpace(text), "?")
	for i, server := range strings.Split(cmp.Or(servers, defaultURL), ",") {
		if err := d.add(strings.TrimSpace(server)); err != nil {
			return nil, fmt.Errorf("NATS server %d: %w", i+1, err)
		}
	}
	err := dsn.Read(query, append(d.certificates.Parameters(),
		dsn.Parameter{Name: "connect_timeout", Set: dsn.Duration(&d.connectTimeout)},
		dsn.Parameter{Name: "creds", Set: dsn.Text(&d.creds)},
		dsn.Parameter{Name: "name", Set: dsn.Text(&d.name)},
		dsn.Parameter{Name: "nkey", Set: dsn.Text(&d.nkey)},
		dsn.Parameter{Name: "replicas", Set: d.setReplicas},
		dsn.Parameter{Name: "storage", Set: d.setStorage},
	))
	switch {
	case err != nil:
		return nil, err
	case d.creds != "" && d.nkey != "", d.user != nil && d.creds+d.nkey != "":
		return nil, errors.New("the DSN has credentials in more than one form: a user or token in a URL, creds, nkey")
	}
	return d, d.certificates.Check()
}

func (d *address) setReplicas(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 5 {
		return errors.New("must be a number of servers, from 1 to 5")
	}
	d.replicas = n
	return nil
}

func (d *address) setStorage(value string) error {
	if value != "file" && value != "memory" {
		return errors.New("must be file or memory")
	}
	d.memory = value == "memory"
	return nil
}

// add adds a server.
func (d *address) add(text string) error {
	u, err := parseServer(text)
	if err != nil {
		return err
	}
	ws := strings.HasPrefix(u.Scheme, "ws")
	if len(d.servers) > 0 && ws != d.ws {
		return errors.New("the DSN mixes ws:// or wss:// with nats:// or tls://")
	}
	d.servers, d.shown = append(d.servers, u.String()), append(d.shown, u.Scheme+"://"+u.Host)
	d.ws, d.secure = ws, d.secure || u.Scheme == "tls"
	if u.User != nil {
		d.user = cmp.Or(d.user, u.User)
		password, _ := u.User.Password()
		d.secrets = append(d.secrets, cmp.Or(password, u.User.Username())) // or the token
	}
	return nil
}

// parseServer parses the URL of one server.
func parseServer(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	u, err := url.Parse(text)
	if err != nil { // not passed on, because it quotes the URL
		return nil, errors.New("this is not a URL; in a user, password or token, other characters than letters and digits are written as in %40")
	}
	port, _ := strconv.Atoi(u.Port()) // digits, or empty
	switch {
	case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
		return nil, errors.New("a URL begins with nats://, tls://, ws:// or wss://")
	case u.Hostname() == "":
		return nil, errors.New("the URL has no host")
	case u.Port() != "" && (port < 1 || port > 65535):
		return nil, errors.New("the port is not a number from 1 to 65535")
	case u.Path != "" && u.Path != "/" || u.Fragment != "":
		return nil, errors.New("the URL has something behind host and port; a '/' or '#' in a password is written as %2F or %23")
	}
	u.Path = ""
	return u, nil
}

// String returns the servers, without secrets.
func (d *address) String() string { return strings.Join(d.shown, ",") }

// options reads the files and returns the options of a connection.
func (d *address) options() (nats.Options, error) {
	o := nats.GetDefaultOptions()
	o.AllowReconnect = false // Remote does that, with more to do
	o.PingInterval, o.MaxPingsOut = pingInterval, pingsOut
	o.FlusherTimeout, o.Timeout = broker.PublishTimeout, d.connectTimeout
	o.Name, o.Servers = d.name, d.servers
	if password, ok := d.user.Password(); ok {
		o.User, o.Password = d.user.Username(), password
	} else {
		o.Token = d.user.Username()
	}
	if err := cmp.Or(d.credentials(&o), d.tls(&o)); err != nil {
		return o, fmt.Errorf("NATS at %s: %w", d, err)
	}
	return o, nil
}

// credentials sets the user, from a file. nats.go reads creds again at each login.
func (d *address) credentials(o *nats.Options) error {
	switch {
	case d.creds != "":
		err := nats.UserCredentials(d.creds)(o)
		if err == nil { // nats.go has read only the JWT
			_, err = o.SignatureCB(nil)
		}
		if err != nil {
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

// tls sets the trusted authorities and the client certificate.
//
// A server names others before TLS begins (with WebSocket, after), so an attacker on the route
// could name its own server. If a public authority has signed that server's certificate, the node
// would log in there. So named servers are used only with ca.
func (d *address) tls(o *nats.Options) (err error) {
	c := &d.certificates
	if o.Secure = d.secure || *c != (dsn.TLS{}); o.Secure {
		o.TLSConfig, err = c.Config()
	}
	o.IgnoreDiscoveredServers = o.Secure && !d.ws && c.CA == "" && !c.SkipVerify
	return err
}
