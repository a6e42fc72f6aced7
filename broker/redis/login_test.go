package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// A user may use some channels: the others are refused one by one, and these work.
func TestUserLimitedToSomeChannels(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.CLI("ACL", "SETUSER", "limited", "on", ">secret", "resetchannels", "&ok:*", "+@connection", "+publish", "+subscribe", "+unsubscribe")
	n := upNode(t, broker.Config{DSN: "redis://limited:secret@" + s.Addr})
	names := []string{"ok:1", "no:1", "ok:2", "no:2", "ok:3"}
	for _, c := range names {
		n.Subscribe(c)
	}
	for _, c := range names {
		err := n.Awaited(c)
		if strings.HasPrefix(c, "ok") != (err == nil) {
			t.Errorf("await %s: %v", c, err)
		}
		if err != nil {
			brokertest.Says(t, err.Error(), "NOPERM")
		}
	}
	err := n.Published("no:1", "x")
	if err == nil {
		t.Fatal("a publication to a forbidden channel succeeds")
	}
	brokertest.Says(t, err.Error(), "redis refuses the publication", "NOPERM")
	for _, c := range []string{"ok:1", "ok:2", "ok:3"} {
		n.MustPublish(c, c)
		n.Expect(c, c)
	}
	if st := n.Stats(); !st.Up || st.Connects != 1 {
		t.Errorf("up %t after %d connects, want the first link to be up", st.Up, st.Connects)
	}
	s.CLI("ACL", "SETUSER", "limited", "&no:*") // an operator permits it
	brokertest.Until(t, "what was refused is in force", func() bool { return n.Stats().Pending == 0 })
}

func TestUserThatMayNotSubscribeAtAll(t *testing.T) {
	s := redistest.Start(t)
	s.CLI("ACL", "SETUSER", "publisher", "on", ">secret", "&*", "+@connection", "+publish")
	n := startNode(t, broker.Config{DSN: "redis://publisher:secret@" + s.Addr})
	n.Subscribe("c")
	brokertest.Until(t, "the log says so", func() bool { return strings.Contains(n.Logged(), "may not subscribe at all: NOPERM") })
}

// The user needs no permission for PING and ROLE, which are sent anyway.
func TestUserWithNothingButPublications(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.CLI("ACL", "SETUSER", "bare", "on", ">secret", "&*", "-@all", "+publish", "+subscribe", "+unsubscribe", "+hello")
	n := upNode(t, broker.Config{DSN: "redis://bare:secret@" + s.Addr})
	n.Join("a", "b")
	n.Unsubscribe("a")
	brokertest.Until(t, "the subscription has ended", func() bool { return s.Says("PUBSUB", "CHANNELS") == "b" })
	n.MustPublish("b", "1")
	n.Expect("b", "1")
}

func TestPasswordIsWrong(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "right")
	for dsn, words := range map[string]string{
		"redis://:hunter2@" + s.Addr:                   "the user or the password of the DSN is refused: WRONGPASS",
		"redis://nobody:hunter2@" + s.Addr:             "the user or the password of the DSN is refused: WRONGPASS",
		"redis://" + s.Addr + "?client_name=x":         "the DSN needs a password: NOAUTH",
		"redis://:hunter2@" + s.Addr + "?protocol=2":   "WRONGPASS",
		"redis://:hunter2@" + s.Addr + "?master_set=m": "NOAUTH",
	} {
		if got := openError(t, dsn); !strings.Contains(got, words) || strings.Contains(got, "hunter2") {
			t.Errorf("the error is %q, want %q in it and no secret", got, words)
		}
	}
	n := startNode(t, broker.Config{DSN: "redis://:hunter2@" + s.Addr})
	brokertest.Until(t, "it is logged", func() bool { return strings.Contains(n.Logged(), "WRONGPASS") })
	if strings.Contains(n.Logged(), "hunter2") {
		t.Errorf("the log has the secret: %s", n.Logged())
	}
	if err := n.Published("c", "x"); err != broker.ErrDown {
		t.Errorf("publish: %v, want %v", err, broker.ErrDown)
	}
	upNode(t, broker.Config{DSN: "redis://:right@" + s.Addr}).Join("c")
	upNode(t, broker.Config{DSN: "redis://default:right@" + s.Addr + "?protocol=2&client_name=me"}).Join("c")
	if !strings.Contains(s.CLI("-a", "right", "CLIENT", "LIST"), "name=me") {
		t.Error("client_name is not the server's")
	}
}

func TestOnlyAWrongPasswordIsCalledWrong(t *testing.T) {
	for says, words := range map[string]string{
		"ERR max number of clients reached": "ERR max number of clients reached",
		"LOADING it reads hunter2":          "another reason than a wrong password: LOADING",
	} {
		l := brokertest.Listen(t)
		brokertest.Serve(l, func(conn net.Conn) {
			answerCommands(conn, func(string) string { return "-" + says + "\r\n" })
		})
		got := openError(t, "redis://:hunter2@"+l.Addr().String())
		if !strings.Contains(got, words) || strings.Contains(got, "hunter2") {
			t.Errorf("the error is %q, want %q in it and no secret", got, words)
		}
	}
}

func TestReplicaIsRefused(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+strings.TrimPrefix(master.Addr, "127.0.0.1:"))
	brokertest.Says(t, openError(t, replica.DSN()), "is a replica")
	n := upNode(t, broker.Config{DSN: replica.DSN() + "?addr=" + master.Addr}) // the second address is the master
	n.Join("c")
	n.MustPublish("c", "1")
	n.Expect("c", "1")
}

// A master that becomes a replica, as after a failover, is given up.
func TestMasterThatIsDemotedIsGivenUp(t *testing.T) {
	t.Parallel()
	a, b := redistest.Start(t), redistest.Start(t)
	n := upNode(t, broker.Config{DSN: a.DSN() + "?addr=" + b.Addr})
	n.Join("c")
	a.CLI("REPLICAOF", "127.0.0.1", strings.TrimPrefix(b.Addr, "127.0.0.1:"))
	brokertest.Until(t, "the other server is used", func() bool { return n.Stats().Connects == 2 && n.Up() })
	if got := b.CLI("PUBLISH", "c", "1"); got != "2" && got != "1" { // the replica may have no subscribers
		t.Errorf("PUBLISH answers %s", got)
	}
	n.Expect("c", "1")
}

func TestOverTLS(t *testing.T) {
	files := makeCertificates(t)
	s := redistest.Start(t, "--port", "0", "--tls-port", "{port}", "--tls-cert-file", files.cert, "--tls-key-file", files.key,
		"--tls-ca-cert-file", files.cert, "--tls-auth-clients", "yes")
	own := "&cert=" + url.QueryEscape(files.cert) + "&key=" + url.QueryEscape(files.key)
	ca := "?ca=" + url.QueryEscape(files.cert)
	local := "rediss://" + s.Addr
	for name, dsn := range map[string]string{
		"the CA's file":       local + ca + own,
		"any certificate":     local + "?skip_verify=true" + own,
		"another server name": local + ca + own + "&server_name=redis.test",
	} {
		t.Run(name, func(t *testing.T) {
			n := upNode(t, broker.Config{DSN: dsn})
			n.Join("c")
			n.MustPublish("c", "1")
			n.Expect("c", "1")
		})
	}
	brokertest.Says(t, openError(t, local+"?protocol=3"+own), "certificate", "unknown authority")
	brokertest.Says(t, openError(t, local+ca+own+"&server_name=other.test"), "not other.test")
	openError(t, local+ca) // the server requires a client certificate
	openError(t, s.DSN())  // the server accepts only TLS
}

// certificates are the files of a self-signed certificate for 127.0.0.1 and redis.test.
type certificates struct{ cert, key string }

func makeCertificates(t *testing.T) certificates {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis.test"}, DNSNames: []string{"redis.test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := certificates{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	for file, block := range map[string]*pem.Block{files.cert: {Type: "CERTIFICATE", Bytes: der}, files.key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
