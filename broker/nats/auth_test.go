package nats

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/natstest"
)

// withUser puts credentials into a URL.
func withUser(url, user string) string {
	return strings.Replace(url, "://", "://"+user+"@", 1)
}

// works checks that a node receives its own publications.
func works(t *testing.T, dsn string) *brokertest.Node {
	t.Helper()
	n := upNode(t, broker.Config{DSN: dsn})
	n.Join("news")
	n.MustPublish("news", "x")
	n.Expect("news", "x")
	return n
}

// refused waits until a node has been refused, and returns its log.
func refused(t *testing.T, dsn string) string {
	t.Helper()
	n := startNode(t, broker.Config{DSN: dsn})
	n.Until("it was refused", func() bool { return n.Stats().FailedConnects > 0 && strings.Contains(n.Logged(), "cannot be reached") })
	if n.Up() {
		t.Error("it is up")
	}
	if err := n.Published("news", "x"); err != broker.ErrDown {
		t.Errorf("Publish: %v, want %v", err, broker.ErrDown)
	}
	_ = n.Close()
	return n.Logged()
}

func TestToken(t *testing.T) {
	s := natstest.Start(t, &server.Options{Authorization: "s3cr3t"})
	works(t, withUser(s.URL, "s3cr3t"))
	log := refused(t, withUser(s.URL, "s3cr3t-wrong"))
	if strings.Contains(log, "s3cr3t") || !strings.Contains(log, "Authorization Violation") || !strings.Contains(log, s.URL) {
		t.Errorf("the log should say what is wrong where, without the token: %s", log)
	}
}

func TestUserAndPassword(t *testing.T) {
	s := natstest.Start(t, &server.Options{Username: "us:er", Password: "pa ss/w@rd,?#%"})
	works(t, withUser(s.URL, "us%3Aer:pa%20ss%2Fw%40rd%2C%3F%23%25"))
	log := refused(t, withUser(s.URL, "us%3Aer:s3cr3t"))
	if strings.Contains(log, "s3cr3t") || !strings.Contains(log, "Authorization Violation") {
		t.Errorf("the log should say what is wrong, without the password: %s", log)
	}
}

func TestNkey(t *testing.T) {
	_, public, seed := makeKey(t, nkeys.CreateUser)
	s := natstest.Start(t, &server.Options{Nkeys: []*server.NkeyUser{{Nkey: public}}})
	file := writeFile(t, "user.nk", seed)
	works(t, s.URL+"?nkey="+file)
	_, _, other := makeKey(t, nkeys.CreateUser)
	log := refused(t, s.URL+"?nkey="+writeFile(t, "other.nk", other))
	if strings.Contains(log, string(other)) || !strings.Contains(log, "Authorization Violation") {
		t.Errorf("the log should say what is wrong, without the seed: %s", log)
	}
}

// makeKey returns a new key, its public half and its seed.
func makeKey(t *testing.T, create func() (nkeys.KeyPair, error)) (key nkeys.KeyPair, public string, seed []byte) {
	t.Helper()
	key, err := create()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = key.PublicKey(); err != nil {
		t.Fatal(err)
	}
	if seed, err = key.Seed(); err != nil {
		t.Fatal(err)
	}
	return key, public, seed
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A user in an operator's account: JWTs throughout.
func TestCreds(t *testing.T) {
	operator, operatorID, _ := makeKey(t, nkeys.CreateOperator)
	account, accountID, _ := makeKey(t, nkeys.CreateAccount)
	accountJWT, err := jwt.NewAccountClaims(accountID).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	accounts := &server.MemAccResolver{}
	if err := accounts.Store(accountID, accountJWT); err != nil {
		t.Fatal(err)
	}
	s := natstest.Start(t, &server.Options{TrustedKeys: []string{operatorID}, AccountResolver: accounts})
	works(t, s.URL+"?creds="+makeCreds(t, account))

	stranger, _, _ := makeKey(t, nkeys.CreateAccount)
	if log := refused(t, s.URL+"?creds="+makeCreds(t, stranger)); !strings.Contains(log, "Authorization Violation") {
		t.Errorf("the log should say what is wrong: %s", log)
	}
}

// makeCreds makes a user of an account and returns the file of its JWT and seed.
func makeCreds(t *testing.T, account nkeys.KeyPair) string {
	t.Helper()
	_, userID, seed := makeKey(t, nkeys.CreateUser)
	userJWT, err := jwt.NewUserClaims(userID).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(userJWT, seed)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "user.creds", creds)
}

func TestOverTLS(t *testing.T) {
	ca := newCA(t)
	server1, _ := ca.issue(t, "server")
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	s := natstest.Start(t, &server.Options{
		TLS: true, TLSVerify: true, TLSTimeout: 10,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{server1}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert},
	})
	_, files := ca.issue(t, "client")
	url := strings.Replace(s.URL, "nats://", "tls://", 1)
	works(t, url+"?ca="+ca.file+"&cert="+files[0]+"&key="+files[1])
	works(t, s.URL+"?skip_verify&cert="+files[0]+"&key="+files[1])

	if log := refused(t, url+"?cert="+files[0]+"&key="+files[1]); !strings.Contains(log, "unknown authority") {
		t.Errorf("without ca, the log should say that the server is not known: %s", log)
	}
	refused(t, url+"?ca="+ca.file) // without a client certificate
}

// authority is a certificate authority.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newCA(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &authority{key: key}
	ca.cert = ca.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, key)
	ca.file = writeFile(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
	return ca
}

// sign completes and signs a certificate for key. Without a parent, it is self-signed.
func (ca *authority) sign(t *testing.T, c *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent := ca.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// issue returns a certificate for this machine, and its certificate and key files.
func (ca *authority) issue(t *testing.T, name string) (tls.Certificate, [2]string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := ca.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := [2]string{
		writeFile(t, name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
		writeFile(t, name+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}, files
}

// Only subscriptions and publications that the server's permissions forbid are refused.
func TestPermissions(t *testing.T) {
	s := natstest.Start(t, &server.Options{Users: []*server.User{
		{Username: "root", Password: "r"},
		{Username: "node", Password: "n", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Deny: []string{"nopub.>"}},
			Subscribe: &server.SubjectPermission{Deny: []string{"nosub.>"}},
		}},
	}})
	n := upNode(t, broker.Config{DSN: withUser(s.URL, "node:n")})
	for round := range 100 { // different goroutines report confirmations and refusals
		good, bad := fmt.Sprintf("yes.%d \"é\"", round), fmt.Sprintf("nosub.%d \"\u00a0é\\'", round)
		n.Subscribe(bad)
		n.Subscribe(good)
		if err := n.Awaited(bad); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Fatalf("Await %q: %v, want %v", bad, err, nats.ErrPermissionViolation)
		}
		if err := n.Awaited(good); err != nil {
			t.Fatalf("Await %q: %v", good, err)
		}
		n.Unsubscribe(bad)
		publishSome(t, n, good, fmt.Sprintf("nopub.%d \"\u00a0é'", round))
	}
	if st := n.Stats(); st.Connects != 1 || st.SubscriptionEnds < 100 {
		t.Errorf("%d links, %d subscriptions ended; want 1 and 100", st.Connects, st.SubscriptionEnds)
	}
	if got := s.NATS.NumClients(); got != 1 {
		t.Errorf("the server has %d clients, want 1", got)
	}
}

// publishSome publishes to an allowed and a forbidden channel alternately, all at once.
func publishSome(t *testing.T, n *brokertest.Node, good, bad string) {
	t.Helper()
	const each = 50
	outcomes := make(chan error, 2*each)
	for i := range 2 * each {
		channel := []string{good, bad}[i%2]
		_, _, err := n.Publish([]byte(channel), []byte("x"), func(_ broker.Receipt, err error) {
			if refused := errors.Is(err, nats.ErrPermissionViolation); refused != (channel == bad) {
				err = fmt.Errorf("publication to %q: %w", channel, errors.Join(err, errors.New("is not the outcome")))
			} else {
				err = nil
			}
			outcomes <- err
		})
		if err != nil {
			t.Fatalf("Publish: %v", err)
		}
	}
	for range 2 * each {
		if err := n.Outcome("Publish", outcomes); err != nil {
			t.Error(err)
		}
	}
}

// A server whose limit is below the number of channels takes as many subscriptions as it can, and
// the rest is refused.
func TestServerWithTooFewSubscriptions(t *testing.T) {
	const room, channels = 700, 1500
	s := natstest.Start(t, &server.Options{MaxSubs: room})
	n := upNode(t, broker.Config{DSN: s.URL})
	outcomes := make([]chan error, channels)
	for i := range outcomes {
		c := fmt.Sprint("c", i)
		outcomes[i] = make(chan error, 1)
		n.Subscribe(c)
		if pending, err := n.Await([]byte(c), func(err error) { outcomes[i] <- err }); !pending {
			outcomes[i] <- err
		}
	}
	served := map[string]bool{}
	for i := range outcomes {
		switch err := n.Outcome("Await", outcomes[i]); {
		case err == nil:
			served[fmt.Sprint("c", i)] = true
		case !errors.Is(err, nats.ErrMaxSubscriptionsExceeded):
			t.Errorf("Await c%d: %v, want nil or %v", i, err, nats.ErrMaxSubscriptionsExceeded)
		}
	}
	if len(served) != room {
		t.Errorf("%d channels are served, want %d", len(served), room)
	}
	for c := range served {
		n.MustPublish(c, c)
	}
	for c := range served {
		n.Expect(c, c)
	}
	if got := n.Stats().Connects; got != 1 {
		t.Errorf("%d links were opened, want 1", got)
	}
}

// A revoked permission ends the subscription, or the whole connection. In either case a member that
// asks again gets an error.
func TestPermissionIsTakenBack(t *testing.T) {
	options := func(deny ...string) *server.Options {
		return &server.Options{Users: []*server.User{{Username: "node", Password: "n", Permissions: &server.Permissions{
			Subscribe: &server.SubjectPermission{Deny: deny},
		}}}}
	}
	s := natstest.Start(t, options("none"))
	n := upNode(t, broker.Config{DSN: withUser(s.URL, "node:n")})
	n.Join("a", "b")
	s.Reload(options("b"))
	n.Until("b is refused", func() bool { return errors.Is(n.Awaited("b"), nats.ErrPermissionViolation) })
	n.Until("a is there", func() bool { return n.Awaited("a") == nil })
	n.MustPublish("a", "x")
	n.Expect("a", "x")
}

func TestOverWebSocket(t *testing.T) {
	s := natstest.Start(t, &server.Options{Username: "u", Password: "p", Websocket: server.WebsocketOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoTLS: true}})
	works(t, withUser(s.NATS.WebsocketURL(), "u:p"))
}
