package main

import (
	"strings"
	"testing"
)

// nodesSection is the section on many nodes of a record.
func nodesSection(t *testing.T, r *record) string {
	t.Helper()
	lib := &library{kinds: map[string]*record{}}
	if r != nil {
		lib.kinds[nodesKind] = r
	}
	b := &builder{lib: lib, prose: prose{testTexts()}, links: "results"}
	p := new(page)
	if err := b.writeNodes(p); err != nil {
		t.Fatal(err)
	}
	return p.String()
}

func TestManyNodesAreShownSideBySide(t *testing.T) {
	got := nodesSection(t, &record{file: "n.json", Notes: []note{{"nodes", "nats was not measured"}}, Figures: []figure{
		one("nodes", "memory, 1 node", "CPU of the nodes, window 1", "CPU us per delivery", 2),
		one("nodes", "redis, 2 nodes", "CPU of the nodes, window 1", "CPU us per delivery", 2.5),
		one("nodes", "redis, 2 nodes", "CPU of the engine, window 1", "CPU us per publication", 70),
		one("engines", "redis", "rate, POST", "publications/s", 60000),
		one("engines", "redis", "CPU of the engine, POST", "CPU us per publication", 1.7),
		one("engines", "redis", "rate, own tool, 16 in flight", "publications/s", 1000000),
		one("engines", "redis", "rate, WebSocket over own tool", "ratio", 0.3),
		one("engines", "redis", "CPU of the engine, many in flight, nodes subscribed: 4", "CPU us per publication", 0.9),
	}})
	for _, want := range []string{
		"| engine, nodes | nodes, one in flight: us/delivery | engine, one: us/publication |\n|---|---|---|\n| memory, 1 node | 2 | – |\n| redis, 2 nodes | 2.50 | 70 |\n",
		"| redis: POST | 60,000 | 1.70 |\n| redis: own tool, 16 in flight | 1,000,000 | – |\n",
		"| nodes subscribed | redis, many in flight: us |\n|---|---|\n| 4 | 0.900 |\n",
		"Note on nodes: nats was not measured",
		"not in the record.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the section has no %q:\n%s", want, got)
		}
	}
}

func TestManyNodesWithoutARecordSayHowToMeasure(t *testing.T) {
	if got := nodesSection(t, nil); !strings.Contains(got, "make bench-nodes") {
		t.Errorf("the section is %q", got)
	}
}
