package wsify_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// theirs maps modules of others to the packages that may import them. A module that is used in one
// place can be replaced in one place.
var theirs = map[string][]string{
	"github.com/mailru/easygo":        {"wsify/netpoll"},
	"github.com/gobwas/ws":            {"wsify/internal/wire", "wsify/internal/session"},
	"github.com/gobwas/httphead":      {"wsify/internal/wire"},
	"github.com/valyala/fasthttp":     {"wsify/auth"},
	"github.com/hashicorp/golang-lru": {"wsify/auth", "wsify/internal/repeat"},
	"github.com/goccy/go-json":        {"wsify/internal/command"},
	"github.com/klauspost/compress":   {"wsify/internal/wire"},
	"github.com/peterbourgon/ff":      {"wsify/cmd/wsify"},
	"github.com/prometheus":           {"wsify/internal/operate", "wsify/internal/otlp"},
	"go.opentelemetry.io":             {"wsify/internal/otlp"},
	"google.golang.org/protobuf":      {"wsify/internal/otlp"},
	"github.com/go-logr/logr":         {"wsify/internal/otlp"}, // OpenTelemetry's own logger is one
	"github.com/nats-io/nats.go":      {"wsify/broker/nats"},
	"github.com/nats-io/nats-server":  {"wsify/internal/natstest"},
	"github.com/Shopify/toxiproxy":    {"wsify/broker/brokertest"},
	"github.com/rs/zerolog":           {"wsify/broker/brokertest"}, // for toxiproxy's log
	"go.uber.org/goleak":              {"wsify/internal/testtool"},
	"github.com/coreos/go-systemd":    {"wsify/internal/systemd"},
	"golang.org/x/time":               {"wsify/internal/session"},
	"golang.org/x/sys/unix":           {"wsify/netpoll", "wsify/auth", "wsify/internal/server", "wsify/internal/operate", "wsify/internal/doctor", "wsify/internal/testtool"},
	"github.com/gobwas/ws/wsutil":     {}, // it reads from sockets and blocks
	"github.com/gobwas/ws/wsflate":    {},
}

func TestPackagesImportWhatTheArchitectureSays(t *testing.T) {
	imports, drawn := listImports(t), drawing(t)
	for pkg, imported := range imports {
		var ours []string
		for _, path := range imported {
			if path, ok := strings.CutPrefix(path, "wsify/"); ok {
				ours = append(ours, path)
			} else if users := usersOf(path); strings.Contains(path, ".") && !slices.Contains(users, pkg) { // the standard library has no dots
				t.Errorf("%s imports %s; only %v may", pkg, path, users)
			}
		}
		arrows, known := drawn[strings.TrimPrefix(pkg, "wsify/")]
		slices.Sort(arrows)
		slices.Sort(ours)
		if !known {
			t.Errorf("%s is not in ARCHITECTURE.md, section 1", pkg)
		} else if !slices.Equal(ours, arrows) {
			t.Errorf("%s imports %v; in ARCHITECTURE.md, section 1, it imports %v", pkg, ours, arrows)
		}
	}
	for pkg := range drawn {
		if imports["wsify/"+pkg] == nil {
			t.Errorf("%s is in ARCHITECTURE.md, section 1, and not in the module", pkg)
		}
	}
}

// drawing returns the packages in the list of ARCHITECTURE.md, each with its arrows. A line without
// an arrow continues the one before.
func drawing(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	drawn := make(map[string][]string)
	var from []string
	for line := range strings.Lines(strings.Split(string(page), "```")[1]) {
		right := line
		if left, behind, arrow := strings.Cut(line, "►"); arrow {
			from, right = names(left), behind
		}
		for _, pkg := range from {
			drawn[pkg] = append(drawn[pkg], names(right)...)
		}
	}
	return drawn
}

// names returns the parts of a comma-separated list.
func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// listImports returns the imports of the module's packages, without test files.
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
		if fields[0] != "wsify" { // this directory has only this test
			imports[fields[0]] = fields[2:]
		}
	}
	return imports
}

// usersOf returns the packages that may import path: those of the longest entry that has it.
func usersOf(path string) (users []string) {
	longest := ""
	for prefix, allowed := range theirs {
		if (path == prefix || strings.HasPrefix(path, prefix+"/")) && len(prefix) > len(longest) {
			longest, users = prefix, allowed
		}
	}
	return users
}
