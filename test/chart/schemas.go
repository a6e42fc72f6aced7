//go:build ignore

// Writes the schemas of the kinds that the chart makes, from the definitions of Kubernetes (file 1)
// and the CRD of ServiceMonitor (file 2). schemas.sh runs it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

type object = map[string]any

// kinds are the definitions of the files, which have the names that kubeconform looks for.
var kinds = map[string]string{
	"deployment-apps-v1":                     "io.k8s.api.apps.v1.Deployment",
	"horizontalpodautoscaler-autoscaling-v2": "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
	"networkpolicy-networking-v1":            "io.k8s.api.networking.v1.NetworkPolicy",
	"poddisruptionbudget-policy-v1":          "io.k8s.api.policy.v1.PodDisruptionBudget",
	"service-v1":                             "io.k8s.api.core.v1.Service",
}

func main() {
	all := read(os.Args[1])["definitions"].(object)
	for file, root := range kinds {
		used := object{}
		collect(all, root, used)
		write(file, object{"$ref": "#/definitions/" + root, "definitions": used})
	}
	version := read(os.Args[2])["spec"].(object)["versions"].([]any)[0].(object)
	write("servicemonitor-monitoring-v1", strict(version["schema"].(object)["openAPIV3Schema"]).(object))
}

func read(file string) (content object) {
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, &content)
	}
	if err != nil {
		panic(err)
	}
	return content
}

// collect copies the definition with this name, and all that it refers to.
func collect(all object, name string, to object) {
	if to[name] != nil {
		return
	}
	to[name] = strict(all[name])
	if strings.HasSuffix(name, ".Quantity") {
		to[name] = object{"type": []string{"number", "string"}} // cpu: 2 is one
	}
	text, _ := json.Marshal(to[name])
	for _, part := range strings.Split(string(text), `"#/definitions/`)[1:] {
		next, _, _ := strings.Cut(part, `"`)
		collect(all, next, to)
	}
}

// strict returns a part of a schema without what only explains, and without fields that are not
// named.
func strict(part any) any {
	list, ok := part.([]any)
	for i := range list {
		list[i] = strict(list[i])
	}
	schema, isObject := part.(object)
	if ok || !isObject {
		return part
	}
	if schema["format"] == "int-or-string" || schema["x-kubernetes-int-or-string"] == true {
		return object{"type": []string{"integer", "string"}}
	}
	properties, named := schema["properties"].(object)
	for key, value := range schema {
		if key == "properties" {
			for name := range properties {
				properties[name] = strict(properties[name])
			}
		} else if key == "description" || key == "default" || strings.HasPrefix(key, "x-") {
			delete(schema, key)
		} else {
			schema[key] = strict(value)
		}
	}
	if named && schema["additionalProperties"] == nil {
		schema["additionalProperties"] = false
	}
	return schema
}

// write writes a file, with a line for each definition.
func write(name string, schema object) {
	text, err := json.Marshal(schema)
	if err == nil {
		text = bytes.ReplaceAll(text, []byte(`,"io.k8s.`), []byte(",\n\"io.k8s."))
		err = os.WriteFile("schemas/"+name+".json", append(text, '\n'), 0o644)
	}
	if err != nil {
		panic(err)
	}
	fmt.Println(name, len(text))
}
