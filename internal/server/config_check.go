package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"wsify/auth"
	"wsify/internal/otlp"
	"wsify/internal/session"
)

func (p *problems) checkService(c *Config) {
	for i, addr := range c.ListenAddrs {
		p.add("listen-addr", checkListenAddr(addr))
		p.add("listen-addr", checkDistinct(addr, c.ListenAddrs[:i]))
	}
	if c.AdminAddr != "" {
		p.add("admin-addr", checkListenAddr(c.AdminAddr))
		p.add("admin-addr", checkDistinct(c.AdminAddr, c.ListenAddrs))
	}
	if c.OTLPEndpoint != "" {
		p.add("otlp-endpoint", otlp.CheckEndpoint(c.OTLPEndpoint))
	}
	p.checkBroker(c)
	p.checkHistory(c)
}

func (p *problems) checkBroker(c *Config) {
	switch d, err := driverOf(c); {
	case err != nil:
		p.add("broker-driver", err)
	case d.Check != nil:
		wrong := d.Check(brokerConfig(c))
		p.add("broker-dsn", wrong.DSN)
		p.add("broker-prefix", wrong.Prefix)
		p.add("max-channel-length", wrong.MaxChannel)
	}
	p.between("broker-buffer", c.BrokerBuffer, 1, maxSize)
	if len(c.BrokerPrefix) > maxBrokerPrefix {
		p.add("broker-prefix", fmt.Errorf("it has %d bytes, and may have %d", len(c.BrokerPrefix), maxBrokerPrefix))
	}
}

func (p *problems) checkAccess(c *Config) {
	if c.AuthorizerURL != "" {
		if err := (auth.Config{URL: c.AuthorizerURL}).Validate(); err != nil {
			*p = append(*p, err) // the error names the flag
		}
	}
	_, err := c.authorizerTLS()
	p.add("authorizer-ca", err)
	p.timeout("authorizer-timeout", c.AuthorizerTimeout)
	if len(c.AuthorizerEvents) == 0 {
		p.add("authorizer-events", errors.New("nothing would be asked; leave it out to ask about everything"))
	}
	for _, name := range c.AuthorizerEvents {
		if !slices.Contains(allEvents, name) {
			p.add("authorizer-events", fmt.Errorf("%q is none of connect, join, leave, broadcast", name))
		}
	}
	if c.AuthorizerCache > maxAuthorizerCache {
		p.add("authorizer-cache", fmt.Errorf("%d is more than %d", c.AuthorizerCache, maxAuthorizerCache))
	}
	p.checkEvents(c)
	p.add("broadcasting-key", checkKey(c.BroadcastingKey))
	p.add("admin-key", checkKey(c.AdminKey))
	for _, pattern := range c.AllowedOrigins {
		p.add("allowed-origins", session.CheckOrigin(pattern))
	}
	p.checkProxies(c)
}

func (p *problems) checkEvents(c *Config) {
	for _, name := range c.Events {
		p.add("events", session.CheckEvent(name))
	}
	switch {
	case c.EventsURL != "" && len(c.Events) == 0:
		p.add("events-url", errors.New("nothing is sent there without -events"))
	case c.EventsURL != "":
		if err := (auth.Config{URL: c.EventsURL, Setting: "-events-url"}).Validate(); err != nil {
			*p = append(*p, err)
		}
	case len(c.Events) > 0 && c.AuthorizerURL == "":
		p.add("events", errors.New("there is nowhere to send them: it needs -events-url or -authorizer-url"))
	}
}

func (p *problems) checkProxies(c *Config) {
	for _, entry := range c.TrustedProxies {
		p.add("trusted-proxies", session.CheckProxy(entry))
	}
	switch c.ProxyProtocol {
	case session.ProxyOff, session.ProxyRequired:
	case session.ProxyOptional:
		if len(c.TrustedProxies) == 0 {
			p.add("proxy-protocol", errors.New("optional needs -trusted-proxies: any client could send a PROXY header"))
		}
	default:
		p.add("proxy-protocol", fmt.Errorf("%q is none of off, optional, required", c.ProxyProtocol))
	}
}

// authorizerTLS returns the TLS configuration for the authorizer and for events; nil means Go's default.
func (c *Config) authorizerTLS() (*tls.Config, error) {
	if c.AuthorizerCA == "" {
		return nil, nil
	}
	plain := func(raw string) bool { // a wrong URL is reported elsewhere
		u, err := url.Parse(raw)
		return err == nil && u.Scheme != "https"
	}
	if plain(c.AuthorizerURL) && plain(c.EventsURL) {
		return nil, errors.New("it is for an -authorizer-url or -events-url that begins with https://")
	}
	roots, err := auth.LoadRoots(c.AuthorizerCA)
	return &tls.Config{RootCAs: roots}, err
}

// checkKey finds mistakes in copying a key: a backend could not send such a key in a header, and
// the reason would be hard to find.
func checkKey(key string) error {
	switch {
	case strings.TrimSpace(key) != key:
		return errors.New("the key begins or ends with white space")
	case strings.ContainsFunc(key, unicode.IsControl):
		return errors.New("the key holds a control character")
	}
	return nil
}
