// Command chart does with a Helm chart what helm lint, helm template and kubeconform do, and prints
// the objects as a JSON list. It uses the packages of Helm and kubeconform: to build all of Helm
// takes twice as long. It is a module of its own, so that the server's go.mod does not need them.
//
//	chart DIRECTORY SCHEMAS RELEASE < VALUES
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/yannh/kubeconform/pkg/resource"
	"github.com/yannh/kubeconform/pkg/validator"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir, schemas, release string) error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	values, err := chartutil.ReadValues(text)
	if err != nil {
		return err
	}
	rendered, err := render(dir, release, values)
	if err == nil {
		err = check(dir, values)
	}
	if err != nil {
		return err
	}
	objects, err := decode(rendered, schemas)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(objects)
}

// kubernetes is the version of the cluster that the chart is for.
var kubernetes = chartutil.KubeVersion{Version: "v1.30.0", Major: "1", Minor: "30"}

// check is helm lint. A hint is no error.
func check(dir string, values map[string]any) error {
	var problems []error
	for _, message := range lint.AllWithKubeVersion(dir, values, "default", &kubernetes).Messages {
		if message.Severity > support.InfoSev {
			problems = append(problems, message)
		}
	}
	return errors.Join(problems...)
}

// render is helm template. It returns the files by their names.
func render(dir, release string, values map[string]any) (map[string]string, error) {
	chart, err := loader.Load(dir)
	if err != nil {
		return nil, err
	}
	caps := chartutil.DefaultCapabilities.Copy()
	caps.KubeVersion = kubernetes
	options := chartutil.ReleaseOptions{Name: release, Namespace: "default", Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, values, options, caps)
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, all)
}

// decode returns the objects of all files, which have to be as their schemas say: they have what is
// required, and nothing that is not there.
func decode(files map[string]string, schemas string) (objects []any, err error) {
	kubeconform, err := validator.New([]string{schemas + "/{{.ResourceKind}}{{.KindSuffix}}.json"}, validator.Opts{Strict: true})
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for text := range strings.SplitSeq(files[name], "\n---\n") {
			result := kubeconform.ValidateResource(resource.Resource{Path: name, Bytes: []byte(text)})
			switch result.Status {
			case validator.Empty: // it is switched off
				continue
			case validator.Valid:
			default:
				return nil, fmt.Errorf("%s: %w\n%s", name, result.Err, text)
			}
			var object any
			if err := yaml.Unmarshal([]byte(text), &object); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			objects = append(objects, object)
		}
	}
	return objects, nil
}
