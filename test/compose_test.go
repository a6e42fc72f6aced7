package test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// composition is the tested part of compose.yaml.
type composition struct {
	Services map[string]*service
	Networks map[string]*struct{ Internal bool }
}

type service struct {
	Image, Restart string
	Build          struct {
		Context string
		Args    map[string]string
	}
	Command            []string
	Environment        map[string]string
	Ports, Volumes     []string
	Networks, Profiles []string
	Ulimits            map[string]int
	Healthcheck        struct{ Test []string }
	GracePeriod        string `json:"stop_grace_period"`
}

// readYAML returns a YAML file as JSON, converted by a program of another module.
func readYAML(t *testing.T, file string) string {
	t.Helper()
	endToEnd(t)
	dir := filepath.Join(root, "test", "compose")
	if out, err := run(t, dir, os.Environ(), "go", "mod", "download"); err != nil {
		t.Fatalf("go mod download: %v\n%s", err, out)
	}
	text, err := run(t, dir, os.Environ(), "go", "run", ".", file)
	if err != nil {
		t.Fatalf("%s: %v\n%s", file, err, text)
	}
	return text
}

// readCompose reads compose.yaml with these variables.
func readCompose(t *testing.T, variables map[string]string) *composition {
	t.Helper()
	text := readYAML(t, filepath.Join(root, "compose.yaml"))
	var c composition
	if err := json.Unmarshal([]byte(interpolate(t, text, variables)), &c); err != nil {
		t.Fatalf("compose.yaml: %v\n%s", err, text)
	}
	return &c
}

var variable = regexp.MustCompile(`\$\{([A-Z_]+)(:[-?])([^}]*)\}`)

// interpolate replaces variables as compose does.
func interpolate(t *testing.T, text string, variables map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		parts := variable.FindStringSubmatch(found)
		value, known := variables[parts[1]]
		switch {
		case known:
			return value
		case parts[2] == ":-":
			return parts[3]
		}
		t.Errorf("compose.yaml requires %s", found)
		return ""
	})
}

// environ returns a service's environment in the form of os.Environ.
func (s *service) environ() (env []string) {
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		env = append(env, name+"="+s.Environment[name])
	}
	return env
}

func TestComposeHasSettingsThatWsifyTakes(t *testing.T) {
	for _, driver := range drivers {
		c := readCompose(t, map[string]string{"ENGINE": driver, "WSIFY_BROADCASTING_KEY": "k3y", "COMMIT": "c0ffee"})
		engine := c.Services[driver]
		if engine == nil {
			t.Fatalf("compose.yaml has no service %q", driver)
		}
		for _, name := range []string{"node1", "node2"} {
			node := c.Services[name]
			out, err := run(t, scratch, node.environ(), program, "-print-config")
			if err != nil {
				t.Errorf("the settings of %s with %s: %v\n%s", name, driver, err, out)
			}
			for setting := range node.Environment {
				flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(setting, "WSIFY_"), "_", "-"))
				if !regexp.MustCompile(`(?m)^(# )?` + flag + ` +.* # env$`).MatchString(out) {
					t.Errorf("%s of %s is not in force:\n%s", setting, name, out)
				}
			}
			if host := strings.TrimPrefix(node.Environment["WSIFY_BROKER_DSN"], driver+"://"); host != driver {
				t.Errorf("%s looks for %s at %q", name, driver, host)
			}
			if needed := stopTimeout(t, out); longer(t, node.GracePeriod) <= needed {
				t.Errorf("%s is killed after %s, and may drain for %s", name, node.GracePeriod, needed)
			}
			admin := node.Environment["WSIFY_ADMIN_ADDR"]
			if check := node.Healthcheck.Test; !slices.Equal(check, []string{"CMD", "/wsify", "healthcheck"}) || admin == "" {
				t.Errorf("%s is checked by %q, and its admin listener is %q", name, check, admin)
			}
			if shared(node.Networks, engine.Networks) == "" || shared(node.Networks, c.Services["loadbalancer"].Networks) == "" || len(node.Ports) > 0 {
				t.Errorf("%s: networks %q, ports %q; it is reached by the load balancer, reaches the engine, and is published nowhere", name, node.Networks, node.Ports)
			}
			if node.Ulimits["nofile"] < 100_000 || node.Restart == "" || node.Build.Context != "." || node.Build.Args["COMMIT"] != "c0ffee" {
				t.Errorf("%s: %+v", name, node)
			}
		}
		if network := c.Networks[engine.Networks[0]]; len(engine.Networks) != 1 || network == nil || !network.Internal || len(engine.Ports) > 0 {
			t.Errorf("%s asks for no password and can be reached from elsewhere: networks %q, ports %q", driver, engine.Networks, engine.Ports)
		}
	}
}

// stopTimeout returns how long a server with the settings that it printed may take to stop.
func stopTimeout(t *testing.T, printed string) (sum time.Duration) {
	t.Helper()
	for _, setting := range regexp.MustCompile(`(?m)^(?:shutdown-delay|drain-timeout) +(\S+)`).FindAllStringSubmatch(printed, -1) {
		sum += longer(t, setting[1])
	}
	return sum
}

func longer(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Errorf("%q is not a duration", text)
	}
	return d
}

// shared returns a common element of a and b.
func shared(a, b []string) string {
	for _, x := range a {
		if slices.Contains(b, x) {
			return x
		}
	}
	return ""
}

// TestDockerTakesComposeAndDockerfile checks the files with Docker, where it is installed.
func TestDockerTakesComposeAndDockerfile(t *testing.T) {
	if exec.Command("docker", "compose", "version").Run() != nil {
		t.Skip("docker compose is not installed")
	}
	if out, err := run(t, root, []string{"WSIFY_BROADCASTING_KEY=k3y"}, "docker", "compose", "config", "--quiet"); err != nil {
		t.Errorf("docker compose config: %v\n%s", err, out)
	}
}
