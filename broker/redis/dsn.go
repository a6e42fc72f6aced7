package redis

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"wsify/broker/internal/dsn"
)

// dialTimeout bounds the time to connect to a server and to log in.
const dialTimeout = 5 * time.Second

// options are the contents of a DSN.
type options struct {
	network    string   // tcp or unix
	addrs      []string // of servers, or of sentinels when masterSet is set; as given until servers completes them
	user       string
	password   string
	clientName string
	timeout    time.Duration
	sharded    string // auto, yes or no
	durable    bool   // the server loses nothing that it has acknowledged

	masterSet        string
	sentinelUser     string
	sentinelPassword string

	secure bool // TLS
	tls    dsn.TLS

	unused []string // options of v3 that have no effect; each as often as it was given
}

// unusedOptions are options of v3's client that have no effect here.
var unusedOptions = []string{
	"max_retries", "min_retry_backoff", "max_retry_backoff", "read_timeout", "write_timeout", "pool_fifo", "pool_size",
	"pool_timeout", "min_idle_conns", "max_idle_conns", "max_active_conns", "conn_max_idle_time", "conn_max_lifetime",
	"idle_timeout", "idle_check_frequency", "max_conn_age", "context_timeout_enabled", "client_cache", "protocol",
}

var errURL = errors.New("the DSN is not a URL, or has a character where none belongs: special characters of a user or password must be percent-encoded, as in redis://user:p%40ss@host:6379")

// checkDSN parses a DSN and reads the files that it names.
func checkDSN(text string) (*options, error) {
	o, err := parseDSN(text)
	if err == nil {
		_, err = o.tlsConfig()
	}
	return o, err
}

// parseDSN parses a DSN. Its errors never quote a part that could be a secret.
func parseDSN(text string) (*options, error) {
	if text == "" {
		text = "redis://localhost:6379"
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errURL
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		return nil, errors.New("the DSN must begin with redis://, rediss:// (TLS) or unix://")
	case u.Opaque != "":
		return nil, errors.New("the DSN must have // behind the scheme, as in redis://localhost:6379")
	case u.Fragment != "" || strings.Contains(u.RawQuery, "@") || strings.Contains(u.Host, "@"):
		return nil, errURL
	}
	o := &options{network: "tcp", timeout: dialTimeout, sharded: "auto", secure: u.Scheme == "rediss"}
	if u.User != nil {
		o.user = u.User.Username()
		o.password, _ = u.User.Password()
	}
	if err := dsn.Read(u.RawQuery, o.parameters()); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if u.Scheme == "unix" {
		return o, o.socket(u)
	}
	return o, o.servers(u)
}

// socket sets the options of unix:///path.
func (o *options) socket(u *url.URL) error {
	switch {
	case u.Host != "" || u.Path == "" || u.Path == "/":
		return errors.New("the DSN must name a socket by its whole path, as in unix:///run/redis/redis.sock")
	case len(o.addrs) > 0 || o.masterSet != "":
		return errors.New("the DSN's addr and master_set do not go with unix://")
	}
	o.network, o.addrs = "unix", []string{u.Path}
	return nil
}

// servers sets the options of redis://host:port/db?addr=host:port.
func (o *options) servers(u *url.URL) error {
	if db := strings.Trim(u.Path, "/"); db != "" && checkDatabase(db) != nil {
		return errors.New("the DSN's path must be the number of a database, as in redis://localhost:6379/0")
	}
	port := "6379"
	if o.masterSet != "" {
		port = "26379"
	}
	given := append([]string{u.Host}, o.addrs...)
	o.addrs = nil
	for _, addr := range given {
		a, err := completeAddr(addr, port)
		if err != nil {
			return err
		}
		if !slices.Contains(o.addrs, a) {
			o.addrs = append(o.addrs, a)
		}
	}
	return nil
}

// completeAddr adds a missing host or port to an address.
func completeAddr(addr, port string) (string, error) {
	u := url.URL{Host: addr}
	host := u.Hostname()
	if host == "" {
		host = "localhost"
	}
	if p := u.Port(); p != "" {
		port = p
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strings.ContainsAny(host, " ,/\\?#@") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return "", errors.New("the DSN must have addresses of the form host:port, the port from 1 to 65535")
	}
	return net.JoinHostPort(host, port), nil
}

// parameters returns the parameters that a DSN may have.
func (o *options) parameters() []dsn.Parameter {
	table := []dsn.Parameter{
		{Name: "addr", Set: o.addAddr, Repeated: true},
		{Name: "client_name", Set: o.setClientName},
		{Name: "db", Set: checkDatabase},
		{Name: "dial_timeout", Set: o.setTimeout},
		{Name: "durable", Set: dsn.Switch(&o.durable)},
		{Name: "master_set", Set: dsn.Text(&o.masterSet)},
		{Name: "sentinel_password", Set: dsn.Text(&o.sentinelPassword)},
		{Name: "sentinel_user", Set: dsn.Text(&o.sentinelUser)},
		{Name: "server_name", Set: dsn.Text(&o.tls.ServerName)},
		{Name: "sharded", Set: o.setSharded},
	}
	table = append(table, o.tls.Parameters()...)
	for _, name := range unusedOptions {
		note := func(string) error {
			o.unused = append(o.unused, name)
			return nil
		}
		table = append(table, dsn.Parameter{Name: name, Set: note, Repeated: true, Unlisted: true})
	}
	return table
}

func (o *options) addAddr(value string) error {
	o.addrs = append(o.addrs, value)
	return nil
}

func (o *options) setClientName(value string) error {
	if strings.ContainsAny(value, " \r\n") {
		return errors.New("must not have spaces")
	}
	o.clientName = value
	return nil
}

func (o *options) setTimeout(value string) error {
	if _, err := strconv.Atoi(value); err == nil { // v3: seconds
		value += "s"
	}
	if value == "" {
		return nil
	}
	err := dsn.Duration(&o.timeout)(value)
	if err == nil && o.timeout > time.Hour {
		err = errors.New("must be a duration of an hour at most")
	}
	return err
}

func (o *options) setSharded(value string) error {
	if !slices.Contains([]string{"", "auto", "yes", "no"}, value) {
		return errors.New("must be auto, yes or no")
	}
	o.sharded = cmp.Or(value, "auto")
	return nil
}

// check reports options that exclude each other.
func (o *options) check() error {
	switch {
	case o.masterSet == "" && (o.sentinelUser != "" || o.sentinelPassword != ""):
		return errors.New("the DSN's sentinel_user and sentinel_password need master_set, the name of the master")
	case o.durable && (o.masterSet != "" || len(o.addrs) > 0):
		return errors.New("the DSN's durable is for a single server, because a failover may lose what was acknowledged: it does not go with addr and master_set")
	case !o.secure && o.tls != (dsn.TLS{}):
		return errors.New("the DSN's ca, cert, key, server_name and skip_verify need TLS: rediss://")
	}
	return o.tls.Check()
}

// tlsConfig reads the certificate files, and returns nil without TLS.
func (o *options) tlsConfig() (*tls.Config, error) {
	if !o.secure {
		return nil, nil
	}
	c, err := o.tls.Config()
	if err != nil {
		return nil, fmt.Errorf("read the files that the DSN names (ca, cert and key): %w", err)
	}
	return c, nil
}

// secrets returns the secrets that must not reach a log.
func (o *options) secrets() dsn.Secrets { return dsn.Secrets{o.password, o.sentinelPassword} }

// checkDatabase checks the number of a database.
func checkDatabase(s string) error {
	if _, err := strconv.ParseUint(s, 10, 31); err != nil {
		return errors.New("must be the number of a database")
	}
	return nil
}
