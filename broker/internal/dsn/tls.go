package dsn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS holds the parameters about certificates. Files are in PEM form.
type TLS struct {
	CA         string // file: the authorities that signed the server's certificate
	Cert, Key  string // files: the client certificate
	ServerName string // in the server's certificate; empty means the host of its address
	SkipVerify bool   // any certificate is accepted
}

// Parameters are ca, cert, key and skip_verify.
func (t *TLS) Parameters() []Parameter {
	return []Parameter{
		{Name: "ca", Set: Text(&t.CA)},
		{Name: "cert", Set: Text(&t.Cert)},
		{Name: "key", Set: Text(&t.Key)},
		{Name: "skip_verify", Set: Switch(&t.SkipVerify)},
	}
}

// Check reports options that exclude each other.
func (t *TLS) Check() error {
	if (t.Cert == "") != (t.Key == "") {
		return errors.New("the DSN's cert and key, a client certificate, need each other: both or none")
	}
	return nil
}

// Config reads the files. It is called for each link, because certificates are renewed.
func (t *TLS) Config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.SkipVerify}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("ca: the file has no certificate in PEM form")
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
