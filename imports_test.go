package wsify_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// ours is every package of the module, and which others it may import. Test files
// may import what they need. The drawing of it is in ARCHITECTURE.md, section 1.
var ours = map[string][]string{
	"wsify/cmd/wsify": {"wsify/internal/server", "wsify/internal/logs"},
	"wsify/internal/server": {
		"wsify/netpoll", "wsify/hub", "wsify/auth", "wsify/broker", "wsify/broker/redis", "wsify/broker/nats",
		"wsify/internal/wire", "wsify/internal/command", "wsify/internal/buffer", "wsify/internal/slab", "wsify/internal/ring",
		"wsify/internal/lastread", "wsify/internal/logs",
	},
	"wsify/netpoll":              {"wsify/internal/buffer", "wsify/internal/slab", "wsify/internal/invariants"},
	"wsify/hub":                  {"wsify/internal/buffer", "wsify/internal/slab", "wsify/internal/ring", "wsify/internal/invariants"},
	"wsify/bench/echo":           {"wsify/netpoll", "wsify/internal/wire", "wsify/internal/slab"},
	"wsify/internal/buffer":      {"wsify/internal/invariants"},
	"wsify/internal/wire":        {"wsify/internal/invariants"},
	"wsify/internal/command":     {},
	"wsify/internal/slab":        {},
	"wsify/internal/ring":        {},
	"wsify/internal/logs":        {},
	"wsify/internal/invariants":  {},
	"wsify/internal/lastread":    {},
	"wsify/auth":                 {"wsify/internal/lastread"},
	"wsify/broker":               {"wsify/broker/internal/link"},
	"wsify/broker/redis":         {"wsify/broker", "wsify/broker/internal/link", "wsify/broker/internal/dsn", "wsify/internal/lastread"},
	"wsify/broker/nats":          {"wsify/broker", "wsify/broker/internal/link", "wsify/broker/internal/dsn", "wsify/internal/lastread"},
	"wsify/broker/internal/link": {"wsify/internal/lastread"},
	"wsify/broker/internal/dsn":  {},
	"wsify/broker/brokertest":    {"wsify/broker"}, // tests import it
	"wsify/internal/natstest":    {},               // tests import it
	"wsify/bench/wsbench":        {"wsify/bench/internal/process"},
	"wsify/bench/beside":         {"wsify/bench/internal/process"},
	"wsify/test":                 {},
	"wsify/internal/testtool":    {},
	"wsify/internal/redistest":   {"wsify/internal/testtool"},

	"wsify/bench/internal/process": {},
}

// theirs is who may import which module of others. What is kept in one place can
// be replaced in one place.
var theirs = map[string][]string{
	"github.com/mailru/easygo":       {"wsify/netpoll"},
	"github.com/gobwas/ws":           {"wsify/internal/wire", "wsify/internal/server", "wsify/bench/echo"},
	"github.com/gobwas/httphead":     {"wsify/internal/wire"},
	"github.com/valyala/fasthttp":    {"wsify/auth"},
	"github.com/goccy/go-json":       {"wsify/internal/command"},
	"github.com/peterbourgon/ff":     {"wsify/cmd/wsify"},
	"github.com/prometheus":          {"wsify/internal/server"},
	"github.com/HdrHistogram":        {"wsify/bench/wsbench"},
	"github.com/nats-io/nats.go":     {"wsify/broker/nats"},
	"github.com/nats-io/nats-server": {"wsify/internal/natstest"},
	"github.com/Shopify/toxiproxy":   {"wsify/broker/brokertest"},
	"github.com/rs/zerolog":          {"wsify/broker/brokertest"}, // toxiproxy's log
	"go.uber.org/goleak":             {"wsify/broker/brokertest"},
	"golang.org/x/sys/unix":          {"wsify/netpoll", "wsify/auth", "wsify/internal/server", "wsify/bench/wsbench", "wsify/bench/internal/process", "wsify/internal/testtool"},
	"github.com/gobwas/ws/wsutil":    {}, // it reads from sockets and blocks
	"github.com/gobwas/ws/wsflate":   {},
}

func TestPackagesImportOnlyWhatTheArchitectureAllows(t *testing.T) {
	imports := listImports(t)
	for pkg, imported := range imports {
		allowed, known := ours[pkg]
		if !known {
			t.Errorf("%s is not in the drawing: add it to ARCHITECTURE.md and to this test", pkg)
			continue
		}
		for _, path := range imported {
			switch {
			case strings.HasPrefix(path, "wsify/"):
				if !slices.Contains(allowed, path) {
					t.Errorf("%s imports %s; of ours it may import %v", pkg, path, allowed)
				}
			case strings.Contains(path, "."): // the first element of a path outside the standard library has a dot
				if users := usersOf(path); !slices.Contains(users, pkg) {
					t.Errorf("%s imports %s; only %v may", pkg, path, users)
				}
			}
		}
	}
	for pkg := range ours {
		if imports[pkg] == nil {
			t.Errorf("%s is in this test and not in the module", pkg)
		}
	}
}

// listImports returns what the packages of the module import, their test files
// left out.
func listImports(t *testing.T) map[string][]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{.Name}}{{range .Imports}} {{.}}{{end}}`, "./...")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	imports := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if fields[0] != "wsify" { // this directory: it has nothing but this test
			imports[fields[0]] = fields[2:]
		}
	}
	return imports
}

// usersOf returns who may import path: what the longest entry that it is under says.
func usersOf(path string) (users []string) {
	longest := ""
	for prefix, allowed := range theirs {
		if (path == prefix || strings.HasPrefix(path, prefix+"/")) && len(prefix) > len(longest) {
			longest, users = prefix, allowed
		}
	}
	return users
}
