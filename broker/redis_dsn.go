package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// redisDialTimeout is how long it may take to reach a server and to be let in.
const redisDialTimeout = 5 * time.Second

// redisOptions is what a DSN says.
type redisOptions struct {
	network    string   // tcp or unix
	addrs      []string // of servers, or of sentinels when masterSet is not empty
	user       string
	password   string
	clientName string
	timeout    time.Duration
	sharded    string // auto, yes or no

	masterSet        string
	sentinelUser     string
	sentinelPassword string

	secure     bool // TLS
	skipVerify bool
	serverName string // empty means the host of each address
	ca         string // files
	cert, key  string

	unused []string // options of v3 that mean nothing here
}

// redisUnused are the options that v3's client knew, and that change nothing here.
var redisUnused = []string{
	"max_retries", "min_retry_backoff", "max_retry_backoff", "read_timeout", "write_timeout", "pool_fifo", "pool_size",
	"pool_timeout", "min_idle_conns", "max_idle_conns", "max_active_conns", "conn_max_idle_time", "conn_max_lifetime",
	"idle_timeout", "idle_check_frequency", "max_conn_age", "context_timeout_enabled", "client_cache", "protocol",
}

// redisParams are the options that there are.
var redisParams = []string{
	"addr", "ca", "cert", "client_name", "db", "dial_timeout", "key", "master_set", "sentinel_password",
	"sentinel_user", "server_name", "sharded", "skip_verify",
}

var (
	errRedisURL      = errors.New("the DSN is not a URL: special characters of a user or password must be percent-encoded, as in redis://user:p%40ss@host:6379")
	errRedisEncoding = errors.New("the DSN has a character where none belongs: special characters of a user or password must be percent-encoded, as in redis://user:p%40ss@host:6379")
)

// CheckRedisDSN reports what is wrong with the DSN of a Redis broker, without
// quoting it: it may hold a password. Files that it names are read.
func CheckRedisDSN(dsn string) error {
	o, err := parseRedisDSN(dsn)
	if err != nil {
		return err
	}
	_, err = o.tlsConfig()
	return err
}

// parseRedisDSN reads a DSN. Its errors never quote a part that could be a secret.
func parseRedisDSN(dsn string) (*redisOptions, error) {
	if dsn == "" {
		dsn = "redis://localhost:6379"
	}
	u, err := url.Parse(dsn)
	switch {
	case err != nil:
		return nil, errRedisURL
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		return nil, errors.New("the DSN must begin with redis://, rediss:// (TLS) or unix://")
	case u.Opaque != "":
		return nil, errors.New("the DSN must have // behind the scheme, as in redis://localhost:6379")
	case u.Fragment != "" || strings.Contains(u.RawQuery, "@") || strings.Contains(u.Host, "@"):
		return nil, errRedisEncoding
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errRedisEncoding
	}
	o := &redisOptions{network: "tcp", secure: u.Scheme == "rediss"}
	if u.User != nil {
		o.user = u.User.Username()
		o.password, _ = u.User.Password()
	}
	if err := o.params(q); err != nil {
		return nil, err
	}
	if u.Scheme == "unix" {
		return o, o.socket(u, q)
	}
	return o, o.servers(u, q)
}

// socket is what unix:///path says.
func (o *redisOptions) socket(u *url.URL, q url.Values) error {
	switch {
	case u.Host != "" || u.Path == "" || u.Path == "/":
		return errors.New("the DSN must name a socket by its whole path, as in unix:///run/redis/redis.sock")
	case q.Has("addr") || q.Has("master_set"):
		return errors.New("the DSN's addr and master_set do not go with unix://")
	}
	o.network, o.addrs = "unix", []string{u.Path}
	return nil
}

// servers is what redis://host:port/db?addr=host:port says.
func (o *redisOptions) servers(u *url.URL, q url.Values) error {
	if db := strings.Trim(u.Path, "/"); db != "" && !isDatabase(db) {
		return errors.New("the DSN's path must be the number of a database, as in redis://localhost:6379/0")
	}
	port := "6379"
	if o.masterSet != "" {
		port = "26379"
	}
	for _, addr := range append([]string{u.Host}, q["addr"]...) {
		a, err := redisAddr(addr, port)
		if err != nil {
			return err
		}
		if !slices.Contains(o.addrs, a) {
			o.addrs = append(o.addrs, a)
		}
	}
	return nil
}

// redisAddr completes an address.
func redisAddr(addr, port string) (string, error) {
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

// params is what stands behind the question mark.
func (o *redisOptions) params(q url.Values) error {
	for name, values := range q {
		switch {
		case slices.Contains(redisUnused, name):
			o.unused = append(o.unused, name)
		case !slices.Contains(redisParams, name):
			return unknownRedisParam(name)
		case len(values) > 1 && name != "addr":
			return fmt.Errorf("the DSN has %s more than once", name)
		}
	}
	slices.Sort(o.unused)
	o.clientName, o.masterSet, o.serverName = q.Get("client_name"), q.Get("master_set"), q.Get("server_name")
	o.sentinelUser, o.sentinelPassword = q.Get("sentinel_user"), q.Get("sentinel_password")
	o.ca, o.cert, o.key = q.Get("ca"), q.Get("cert"), q.Get("key")
	switch {
	case strings.ContainsAny(o.clientName, " \r\n"):
		return errors.New("the DSN's client_name must not have spaces")
	case q.Has("db") && !isDatabase(q.Get("db")):
		return errors.New("the DSN's db must be the number of a database")
	case o.masterSet == "" && (o.sentinelUser != "" || o.sentinelPassword != ""):
		return errors.New("the DSN's sentinel_user and sentinel_password need master_set, the name of the master")
	}
	if err := o.choices(q); err != nil {
		return err
	}
	return o.tlsParams(q)
}

// unknownRedisParam names what there is. The unknown name is left out unless it looks
// like one: it might be what follows an unescaped ? in a password.
func unknownRedisParam(name string) error {
	known := strings.Join(redisParams, ", ")
	if len(name) > 24 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" || !strings.Contains(name, "_") {
		return fmt.Errorf("the DSN has an unknown parameter; there are: %s", known)
	}
	return fmt.Errorf("the DSN has an unknown parameter %s; there are: %s", name, known)
}

// choices reads the parameters that are one of a few words, or a time.
func (o *redisOptions) choices(q url.Values) error {
	switch o.sharded = q.Get("sharded"); o.sharded {
	case "":
		o.sharded = "auto"
	case "auto", "yes", "no":
	default:
		return errors.New("the DSN's sharded must be auto, yes or no")
	}
	o.timeout = redisDialTimeout
	if s := q.Get("dial_timeout"); s != "" {
		d, err := time.ParseDuration(s)
		if n, bad := strconv.Atoi(s); bad == nil { // v3: seconds
			d, err = time.Duration(n)*time.Second, nil
		}
		if err != nil || d <= 0 || d > time.Hour {
			return errors.New("the DSN's dial_timeout must be a duration with a unit, as in 5s")
		}
		o.timeout = d
	}
	return nil
}

// tlsParams reads the parameters that go with TLS.
func (o *redisOptions) tlsParams(q url.Values) error {
	switch v := q.Get("skip_verify"); {
	case !q.Has("skip_verify"):
	case v == "":
		o.skipVerify = true
	default:
		b, err := strconv.ParseBool(v)
		if err != nil {
			return errors.New("the DSN's skip_verify must be true or false")
		}
		o.skipVerify = b
	}
	for _, name := range []string{"skip_verify", "server_name", "ca", "cert", "key"} {
		if q.Has(name) && !o.secure {
			return fmt.Errorf("the DSN's %s needs TLS: rediss://", name)
		}
	}
	if (o.cert == "") != (o.key == "") {
		return errors.New("the DSN's cert and key, a client certificate, need each other")
	}
	return nil
}

// tlsConfig reads the files of certificates, and returns nil without TLS.
func (o *redisOptions) tlsConfig() (*tls.Config, error) {
	if !o.secure {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.serverName, InsecureSkipVerify: o.skipVerify}
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, fmt.Errorf("read the DSN's ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("the file of the DSN's ca has no certificate in PEM form")
		}
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, fmt.Errorf("read the DSN's cert and key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// secrets returns what must not reach a log.
func (o *redisOptions) secrets() secrets { return secrets{o.password, o.sentinelPassword} }

// isDatabase reports whether s is a number that a database can have.
func isDatabase(s string) bool {
	_, err := strconv.ParseUint(s, 10, 31)
	return err == nil
}
