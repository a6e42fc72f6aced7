package test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// image is what the Dockerfile says of the image.
type image struct {
	copied            map[string]string // files of the stage before, by their paths in the image
	user, signal      string
	entrypoint, check []string
}

// dockerfile reads the last stage of the Dockerfile. An instruction that it does not know is an
// error, so the image has nothing that the tests leave out.
func dockerfile(t *testing.T) (stage string, built image) {
	t.Helper()
	stage, last, found := strings.Cut(read(t, filepath.Join(root, "Dockerfile")), "\nFROM scratch\n")
	if !found {
		t.Fatal("the image is not from scratch")
	}
	built.copied = map[string]string{}
	for line := range strings.Lines(last) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "COPY":
			from, to, _ := strings.Cut(strings.TrimPrefix(rest, "--from=build "), " ")
			built.copied[to] = from
		case "USER":
			built.user = rest
		case "STOPSIGNAL":
			built.signal = rest
		case "HEALTHCHECK":
			_, check, _ := strings.Cut(rest, " CMD ")
			built.check = words(t, check)
		case "ENTRYPOINT":
			built.entrypoint = words(t, rest)
		case "EXPOSE":
		default:
			t.Fatalf("the tests do not know %q", line)
		}
	}
	return stage, built
}

// words parses the form of a command that needs no shell.
func words(t *testing.T, list string) (args []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(list), &args); err != nil {
		t.Fatalf("%s needs a shell, and the image has none: %v", list, err)
	}
	return args
}

// imageTree makes the files of the image: the program is built by the command of the Dockerfile,
// and authorities are the certificates.
func imageTree(t *testing.T, authorities []byte) (tree string, built image) {
	t.Helper()
	endToEnd(t)
	if os.Getuid() != 0 {
		t.Skip("only root may run a program in a directory with nothing else")
	}
	tree = t.TempDir()
	if err := os.Chmod(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	stage, built := dockerfile(t)
	made := map[string]string{"/wsify": filepath.Join(scratch, "wsify-of-the-image")}
	made["/etc/ssl/certs/ca-certificates.crt"] = writeFile(t, t.TempDir(), "authorities", string(authorities))
	if err := os.Chmod(made["/etc/ssl/certs/ca-certificates.crt"], 0o644); err != nil {
		t.Fatal(err)
	}
	build := regexp.MustCompile(`(?m)^RUN (.* go build .*) -o /wsify (\./cmd/wsify)$`).FindStringSubmatch(stage)
	if build == nil {
		t.Fatalf("the Dockerfile builds no /wsify:\n%s", stage)
	}
	if out, err := run(t, root, []string{"VERSION=4.0.0", "COMMIT=c0ffee"}, "sh", "-c", build[1]+" -o "+made["/wsify"]+" "+build[2]); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for to, from := range built.copied {
		if made[from] == "" {
			t.Fatalf("the stage before makes no %s", from)
		}
		add(t, tree, to, made[from])
	}
	return tree, built
}

func TestImageServesWithNothingButItsFiles(t *testing.T) {
	var asked atomic.Int64
	authorizer := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer authorizer.Close()
	tree, built := imageTree(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authorizer.Certificate().Raw}))

	admin := "WSIFY_ADMIN_ADDR=127.0.0.1:" + steadyPort(t, nil)
	inside := []string{need(t, "chroot", "coreutils"), "--userspec=" + built.user, tree}
	if out, err := run(t, "/", []string{admin}, append(inside, built.check...)...); err == nil {
		t.Errorf("the health check succeeds without a server: %s", out)
	}
	if out, err := run(t, "/", nil, append(append(inside, built.entrypoint...), "-version")...); err != nil || !strings.HasPrefix(out, "wsify 4.0.0 (commit c0ffee, ") {
		t.Errorf("the version of the image: %v %s", err, out)
	}
	p := start(t, "/", []string{admin}, append(append(inside, built.entrypoint...), "-listen-addr", "127.0.0.1:0", "-broadcast-open", "-authorizer-url", authorizer.URL)...)
	s := &server{process: p, addr: p.awaitAddr()}
	t.Cleanup(s.endInOrder)
	if out, err := run(t, "/", []string{admin}, append(inside, built.check...)...); err != nil {
		t.Errorf("the health check: %v %s", err, out)
	}
	c := dialGo(t, s.ws())
	c.expect("open")
	c.join("news")
	if status, text, err := post(s.http()+"/broadcast", `{"channel":"news","content":1}`); status != http.StatusCreated {
		t.Errorf("a publication: %d %s %v", status, text, err)
	}
	c.expect("message 1")
	if n := asked.Load(); n != 2 {
		t.Errorf("the authorizer behind TLS was asked %d times, want 2", n)
	}
	status := read(t, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if !regexp.MustCompile(`(?m)^Uid:\t65532\t65532\t65532\t65532$`).MatchString(status) {
		t.Errorf("the server does not run as nobody:\n%s", status)
	}
}

// TestImageIsStoppedByTheSignalThatDrains checks what docker stop sends.
func TestImageIsStoppedByTheSignalThatDrains(t *testing.T) {
	if _, built := dockerfile(t); built.signal != "SIGTERM" {
		t.Errorf("the image is stopped by %s", built.signal)
	}
}
