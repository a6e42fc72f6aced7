package api

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// openAPI is the part of the description that is compared.
type openAPI struct {
	Paths map[string]map[string]struct {
		Parameters  []struct{ Name, In string }
		RequestBody json.RawMessage
		Responses   map[string]json.RawMessage
	}
}

func described(t *testing.T) openAPI {
	t.Helper()
	var doc openAPI
	if err := json.Unmarshal(do(newAPI("k3y", false, &fake{}), "GET", "/openapi.json", "").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTheDescriptionHasThePathsThatThereAre(t *testing.T) {
	var want, got []string
	for _, rt := range routes {
		want = append(want, rt.pattern)
	}
	for path, methods := range described(t).Paths {
		for method := range methods {
			got = append(got, strings.ToUpper(method)+" "+path)
			for _, status := range []string{"401", "403", "405", "421"} {
				if methods[method].Responses[status] == nil {
					t.Errorf("%s %s: %s is not described", method, path, status)
				}
			}
		}
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("openapi.json describes %q, there are %q", got, want)
	}
}

// A parameter that is not known is refused, with a message that has the known ones.
func TestTheDescriptionHasTheParametersThatThereAre(t *testing.T) {
	named := regexp.MustCompile(`"([^"]*)"`)
	for path, methods := range described(t).Paths {
		get, ok := methods["get"]
		if !ok {
			continue
		}
		var got []string
		for _, p := range get.Parameters {
			if p.In == "query" {
				got = append(got, `"`+p.Name+`"`)
			}
		}
		target := strings.NewReplacer("{name}", "a", "{id}", "7-1").Replace(path)
		known := named.FindAllString(errorOf(t, do(newAPI("", true, &fake{}), "GET", target+"?x=1", "")).Message, -1)[1:]
		slices.Sort(known)
		if slices.Sort(got); !slices.Equal(got, known) {
			t.Errorf("%s has the parameters %q, and openapi.json %q", path, known, got)
		}
	}
}
