package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// everything are values that switch on all that the chart has.
const everything = `
image: { tag: "1.2.3" }
imagePullSecrets: [{ name: pull }]
settings: { broker-driver: redis, max-connections: 1000000, access-log: true, access-log-sample: 0.01, allowed-origins: "https://a.example,self" }
secret: { name: wsify, keys: { broadcasting-key: key, broker-dsn: dsn, authorizer-url: authorizer } }
extraVolumes: [{ name: ca, configMap: { name: ca } }]
extraVolumeMounts: [{ name: ca, mountPath: /etc/wsify }]
autoscaling: { enabled: true, maxReplicas: 40, connectionsPerPod: 1000000 }
serviceMonitor: { enabled: true, labels: { release: prometheus } }
service: { type: LoadBalancer, annotations: { a: b } }
networkPolicy: { clientsFrom: [{ ipBlock: { cidr: 10.0.0.0/8 } }] }
podAnnotations: { a: b }
podLabels: { a: b }
priorityClassName: high
nodeSelector: { a: b }
tolerations: [{ key: a, operator: Exists }]
affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: a, operator: Exists }] }] } } }
`

// checker returns the path of a program in this directory that checks files, which make builds once.
func checker(t *testing.T, name string) string {
	t.Helper()
	need(t, "make", "make")
	checkersOnce.Do(func() {
		if out, err := run(t, root, nil, "make", "checkers"); err != nil {
			t.Fatalf("make checkers: %v\n%s", err, out)
		}
	})
	return filepath.Join(root, "bin", "tools", name)
}

var checkersOnce sync.Once

// renderChart renders the chart with these values, and returns the objects as JSON.
func renderChart(t *testing.T, values string) ([]byte, error) {
	t.Helper()
	if err := watchSources(); err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), checker(t, "chart"), filepath.Join(root, "deploy", "helm", "wsify"), filepath.Join(root, "test", "chart", "schemas"), "wsify")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(values), &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said.String())
	}
	return out.Bytes(), nil
}

// object is the tested part of an object of the chart, or of docs/kubernetes.md.
type object struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Replicas *int
		Strategy struct {
			RollingUpdate struct{ MaxUnavailable int }
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
		Selector    map[string]any
		PodSelector struct{ MatchLabels map[string]string }
		Ports       []struct{ TargetPort string }
		Ingress     []struct {
			Ports []struct{ Port string }
			From  []any
		}
		Metrics []struct {
			Pods struct{ Target struct{ AverageValue string } }
		}
		Behavior struct{ ScaleDown scaling }
	}
}

type scaling struct {
	StabilizationWindowSeconds int
	Policies                   []struct {
		Type                 string
		Value, PeriodSeconds int
	}
}

// chart renders the chart, and returns the objects by kind and name.
func chart(t *testing.T, values string) map[string]object {
	t.Helper()
	text, err := renderChart(t, values)
	if err != nil {
		t.Fatal(err)
	}
	var objects []object
	if err := json.Unmarshal(text, &objects); err != nil {
		t.Fatal(err)
	}
	found := map[string]object{}
	for _, o := range objects {
		found[o.Kind+" "+o.Metadata.Name] = o
	}
	return found
}

func TestChartMakesObjectsThatKubernetesTakes(t *testing.T) {
	for name, values := range map[string]string{"default": "", "everything": everything, "page": docsBlock(t, "kubernetes.md", "values")} {
		if _, err := renderChart(t, values); err != nil {
			t.Errorf("the chart with the values %q: %v", name, err)
		}
	}
}

// What the chart copies into objects is compared with the schemas too.
func TestChartRefusesWhatKubernetesWould(t *testing.T) {
	for values, want := range map[string]string{
		"tolerations: [{ kee: a }]":                         "additional properties 'kee' not allowed",
		"extraVolumes: [{ configMap: { name: ca } }]":       "missing property 'name'",
		"extraVolumeMounts: [{ name: ca }]":                 "missing property 'mountPath'",
		"affinity: { nodeAffinity: 5 }":                     "got number, want object",
		"networkPolicy: { clientsFrom: [{ ipBlock: {} }] }": "missing property 'cidr'",
	} {
		if _, err := renderChart(t, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", values, err, want)
		}
	}
}

// docsBlock returns a tried block of a page.
func docsBlock(t *testing.T, page, name string) string {
	t.Helper()
	for _, block := range triedBlock.FindAllStringSubmatch(docsPage(t, page), -1) {
		if block[1] == name {
			return block[2]
		}
	}
	t.Fatalf("docs/%s has no block %q", page, name)
	return ""
}

func TestChartHasObjectsOnlyForWhatIsSwitchedOn(t *testing.T) {
	kinds := func(values string) (found []string) {
		for name := range chart(t, values) {
			found = append(found, name)
		}
		slices.Sort(found)
		return found
	}
	all := []string{
		"Deployment wsify", "HorizontalPodAutoscaler wsify", "NetworkPolicy wsify", "PodDisruptionBudget wsify",
		"Service wsify", "Service wsify-metrics", "ServiceMonitor wsify",
	}
	if got := kinds(everything); !slices.Equal(got, all) {
		t.Errorf("with everything: %q", got)
	}
	if got, want := kinds(""), []string{all[0], all[2], all[3], all[4]}; !slices.Equal(got, want) {
		t.Errorf("by default: %q", got)
	}
	if got, want := kinds("{networkPolicy: {enabled: false}, podDisruptionBudget: {enabled: false}}"), []string{all[0], all[4]}; !slices.Equal(got, want) {
		t.Errorf("without what can be switched off: %q", got)
	}
}

func TestChartHasSettingsThatWsifyTakes(t *testing.T) {
	pod := chart(t, everything)["Deployment wsify"].Spec.Template.Spec
	c := pod.Containers[0]
	secrets := t.TempDir()
	for key, value := range map[string]string{"key": "k3y", "dsn": "redis://:s3cret@redis:6379", "authorizer": "https://authorizer.example/"} {
		writeFile(t, secrets, key, value)
	}
	var env []string
	for _, e := range c.Env {
		env = append(env, e.Name+"="+strings.Replace(e.Value, c.VolumeMounts[0].MountPath, secrets, 1))
	}
	out, err := run(t, scratch, env, append([]string{program, "-print-config"}, c.Args...)...)
	if err != nil {
		t.Fatalf("%q: %v\n%s", c.Args, err, out)
	}
	for _, want := range []string{
		`# broadcasting-key +\S+ # env`, `# broker-dsn +redis://redis:6379/\S+ # env`, `# authorizer-url +https://authorizer.example # env`,
		`broker-driver +redis # flag`, `max-connections +1000000 # flag`, `access-log +true # flag`, `access-log-sample +0.01 # flag`,
		`allowed-origins +https://a.example,self # flag`, `listen-addr +:3000 # flag`, `admin-addr +:3001 # flag`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(out) {
			t.Errorf("not in force: %s\n%s", want, out)
		}
	}
}

func TestChartUpdatesWithoutAPodLessAndLetsEachDrain(t *testing.T) {
	deployment := chart(t, "shutdownDelaySeconds: 20\ndrainTimeoutSeconds: 100")["Deployment wsify"]
	if n := deployment.Spec.Strategy.RollingUpdate.MaxUnavailable; n != 0 {
		t.Errorf("an update ends %d pods before new ones are ready", n)
	}
	pod := deployment.Spec.Template.Spec
	out, err := run(t, scratch, nil, append([]string{program, "-print-config"}, pod.Containers[0].Args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if grace, needed := time.Duration(pod.Grace)*time.Second, stopTimeout(t, out); grace <= needed || needed != 2*time.Minute {
		t.Errorf("the pod is killed after %s, and the delay and the drain may take %s", grace, needed)
	}
}

func TestChartScalesDownSlowly(t *testing.T) {
	all := chart(t, everything)
	hpa := all["HorizontalPodAutoscaler wsify"].Spec
	down := hpa.Behavior.ScaleDown
	if p := down.Policies; len(p) != 1 || p[0].Type != "Pods" || p[0].Value != 1 || p[0].PeriodSeconds < 300 || down.StabilizationWindowSeconds < 600 {
		t.Errorf("scaling down: %+v", down)
	}
	if target := hpa.Metrics[0].Pods.Target.AverageValue; target != "1000000" {
		t.Errorf("a pod is for %s connections", target)
	}
	if replicas := all["Deployment wsify"].Spec.Replicas; replicas != nil {
		t.Errorf("each upgrade of the chart sets the pods back to %d", *replicas)
	}
}

func TestChartKeepsTheAdminListenerToItself(t *testing.T) {
	for _, values := range []string{"", everything} {
		all := chart(t, values)
		labels := all["Deployment wsify"].Spec.Template.Metadata.Labels
		policy := all["NetworkPolicy wsify"].Spec
		for name, value := range policy.PodSelector.MatchLabels {
			if labels[name] != value {
				t.Errorf("the policy selects %v, the pods have %v", policy.PodSelector.MatchLabels, labels)
			}
		}
		for _, rule := range policy.Ingress {
			if rule.Ports[0].Port == "admin" && len(rule.From) == 0 {
				t.Error("everybody reaches the admin listener")
			}
		}
		if ports := all["Service wsify"].Spec.Ports; len(ports) != 1 || ports[0].TargetPort != "clients" {
			t.Errorf("the Service offers %+v", ports)
		}
	}
}

func TestChartRefusesValuesThatAreNone(t *testing.T) {
	for values, want := range map[string]string{
		"replica: 2":                                           "replica",
		"replicas: -1":                                         "replicas",
		`replicas: "1"`:                                        "replicas",
		"replicas: 2":                                          "settings.broker-driver",
		"settings: { max-conections: 5 }":                      "max-conections",
		"settings: { broadcasting-key: s3cret }":               "broadcasting-key", // it would be in the list of processes
		"settings: { admin-addr: \":3001\" }":                  "admin-addr",       // the chart sets it
		"settings: { allowed-origins: [a, b] }":                "allowed-origins",
		"secret: { keys: { broker-dsn: dsn } }":                "secret.name",
		"secret: { name: s, keys: { loops: a } }":              "loops", // it is no secret
		"secret: { name: s, keys: { broker-dsn: a/b } }":       "broker-dsn",
		"shutdownDelaySeconds: 5s":                             "shutdownDelaySeconds",
		"drainTimeoutSeconds: 0":                               "drainTimeoutSeconds",
		"goMemLimit: 900MB":                                    "goMemLimit",
		"service: { port: 0 }":                                 "port",
		"service: { port: 65536 }":                             "port",
		"autoscaling: { scaleDownStabilizationSeconds: 3601 }": "scaleDownStabilizationSeconds", // as Kubernetes does
		"autoscaling: { minReplicas: 11 }":                     "autoscaling.maxReplicas",
		"autoscaling: { enabled: true }":                       "settings.broker-driver",
		"podDisruptionBudget: { maxUnavailable: 0 }":           "maxUnavailable", // it would keep machines from being emptied
		"serviceMonitor: { interval: 15 }":                     "interval",
		"image: { pullPolicy: never }":                         "pullPolicy",
	} {
		if _, err := renderChart(t, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", values, err, want)
		}
	}
	const atTheLimits = "{service: {port: 65535}, drainTimeoutSeconds: 1, shutdownDelaySeconds: 0, autoscaling: {minReplicas: 10, scaleDownStabilizationSeconds: 3600}, podDisruptionBudget: {maxUnavailable: 50%}}"
	if _, err := renderChart(t, atTheLimits); err != nil {
		t.Errorf("%s: %v", atTheLimits, err)
	}
}
