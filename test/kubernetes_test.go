package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

type pod struct {
	Grace      int `json:"terminationGracePeriodSeconds"`
	Containers []container
}

type container struct {
	Args                          []string
	Env                           []struct{ Name, Value string }
	Ports                         []containerPort
	LivenessProbe, ReadinessProbe probe
	VolumeMounts                  []struct{ MountPath string }
}

type containerPort struct {
	Name string
	Port int `json:"containerPort"`
}

type probe struct {
	HTTPGet struct{ Path, Port string }
}

// manifests reads the manifests of docs/kubernetes.md.
func manifests(t *testing.T) map[string]object {
	t.Helper()
	found := map[string]object{}
	for _, block := range triedBlock.FindAllStringSubmatch(docsPage(t, "kubernetes.md"), -1) {
		file := writeFile(t, t.TempDir(), "manifest.yaml", block[2])
		var m object
		if err := json.Unmarshal([]byte(readYAML(t, file)), &m); err != nil {
			t.Fatalf("%s: %v", block[1], err)
		}
		found[m.Kind] = m
	}
	return found
}

func TestKubernetesManifestsHaveSettingsThatWsifyTakes(t *testing.T) {
	spec := manifests(t)["Deployment"].Spec.Template.Spec
	c := spec.Containers[0]
	secrets := t.TempDir()
	writeFile(t, secrets, "key", "k3y")
	writeFile(t, secrets, "dsn", "redis://:s3cret@redis:6379")
	var env []string
	for _, e := range c.Env {
		env = append(env, e.Name+"="+strings.Replace(e.Value, c.VolumeMounts[0].MountPath, secrets, 1))
	}
	out, err := run(t, scratch, env, append([]string{program, "-print-config"}, c.Args...)...)
	if err != nil {
		t.Fatalf("the settings of the Deployment: %v\n%s", err, out)
	}
	for _, want := range []string{`# broadcasting-key +\S+ # env`, `# broker-dsn +redis://redis:6379/\S+ # env`, `broker-driver +redis # flag`} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(out) {
			t.Errorf("not in force: %s\n%s", want, out)
		}
	}
	if grace, needed := time.Duration(spec.Grace)*time.Second, stopTimeout(t, out); grace <= needed {
		t.Errorf("the pod is killed after %s, and the delay and the drain may take %s", grace, needed)
	}
	if !regexp.MustCompile(`(?m)^shutdown-delay +[1-9]`).MatchString(out) {
		t.Errorf("the pod takes no clients while Services still send them:\n%s", out)
	}
	for _, p := range c.Ports {
		if setting := fmt.Sprintf(`-addr +:%d `, p.Port); !regexp.MustCompile(setting).MatchString(out) {
			t.Errorf("no process listens on port %d (%s)", p.Port, p.Name)
		}
	}
}

func TestKubernetesProbesAreAnsweredByTheAdminListener(t *testing.T) {
	c := manifests(t)["Deployment"].Spec.Template.Spec.Containers[0]
	addr := "127.0.0.1:" + steadyPort(t, nil)
	serve(t, "-admin-addr", addr)
	for _, p := range []probe{c.LivenessProbe, c.ReadinessProbe} {
		response, err := http.Get("http://" + addr + p.HTTPGet.Path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK || p.HTTPGet.Port != "admin" {
			t.Errorf("%+v: %s", p, response.Status)
		}
	}
}

func TestKubernetesServiceAndPolicyAreForThePods(t *testing.T) {
	all := manifests(t)
	labels := all["Deployment"].Spec.Template.Metadata.Labels
	service, policy := all["Service"].Spec, all["NetworkPolicy"].Spec
	if labels["app"] == "" || service.Selector["app"] != labels["app"] || policy.PodSelector.MatchLabels["app"] != labels["app"] {
		t.Errorf("the pods have %v, the Service selects %v, the policy %v", labels, service.Selector, policy.PodSelector.MatchLabels)
	}
	if len(service.Ports) != 1 || service.Ports[0].TargetPort != "clients" {
		t.Errorf("the Service offers %+v, want the port of clients alone", service.Ports)
	}
	for _, rule := range policy.Ingress {
		if rule.Ports[0].Port == "admin" && len(rule.From) == 0 {
			t.Error("everybody reaches the admin listener")
		}
	}
}

// TestKubernetesPageNamesWhatThereIs checks that every flag and variable in the text exists.
func TestKubernetesPageNamesWhatThereIs(t *testing.T) {
	text := docsPage(t, "kubernetes.md")
	help, err := run(t, root, nil, program, "-help")
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range regexp.MustCompile("[`\\[](-[a-z-]+)").FindAllStringSubmatch(text, -1) {
		if !strings.Contains(help, "\n  "+flag[1]) {
			t.Errorf("there is no flag %s", flag[1])
		}
	}
	made := []string{"WSIFY_SERVICE_HOST=10.0.0.1", "WSIFY_PORT=tcp://10.0.0.1:3000"} // by Kubernetes
	if out, err := run(t, scratch, made, program, "-check-config"); err != nil {
		t.Errorf("with Kubernetes' variables: %v\n%s", err, out)
	}
	for _, name := range regexp.MustCompile(`WSIFY_[A-Z_]+[A-Z]`).FindAllString(text, -1) {
		if !strings.Contains(help, name) && !strings.Contains(strings.Join(made, " "), name+"=") {
			t.Errorf("there is no variable %s", name)
		}
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil || !strings.Contains(string(readme), "(docs/kubernetes.md)") {
		t.Errorf("README.md has no link to the page (%v)", err)
	}
}
