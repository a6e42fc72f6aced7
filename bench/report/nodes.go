package main

import (
	"slices"
	"strings"
)

const nodesKind = "nodes"

// pivot is a table of a scenario: figures side by side, a row for each server or for
// whatever else their names differ in.
type pivot struct {
	scenario string
	about    string
	head     string        // of the first column
	columns  []pivotColumn // in order; those without any figure are left out
	rows     func(r *record) []string
	find     func(r *record, row string, c pivotColumn) *figure
}

// pivotColumn is one figure of each row.
type pivotColumn struct{ head, server, name string }

// pivots are the tables of the record of nodes.
var pivots = []pivot{
	{
		scenario: "nodes", head: "engine, nodes", rows: serversOf("nodes"), find: ofServer("nodes"),
		about: "One channel with all members, published to at the first node: CPU of all nodes per delivery and of the engine per publication, " +
			"with one and with four publications in flight.",
		columns: []pivotColumn{
			{"nodes, one in flight: us/delivery", "", "CPU of the nodes, window 1"},
			{"over one node in memory", "", "CPU over one node in memory, window 1"},
			{"nodes, four: us/delivery", "", "CPU of the nodes, window 4"},
			{"over one node in memory", "", "CPU over one node in memory, window 4"},
			{"engine, one: us/publication", "", "CPU of the engine, window 1"},
			{"engine, four: us/publication", "", "CPU of the engine, window 4"},
		},
	},
	{
		scenario: "nodes", head: "engine, nodes", rows: serversOf("nodes"), find: ofServer("nodes"),
		about: "Rates of the same phases, and the latency at a steady rate of the members on the last node, from when each publication should have left: " +
			"of all of them, and of one member alone.",
		columns: []pivotColumn{
			{"one in flight: deliveries/s", "", "rate, window 1"},
			{"four: deliveries/s", "", "rate, window 4"},
			{"over one node in memory", "", "rate over one node in memory, window 4"},
			{"p50, us", "", "paced: p50"},
			{"p99, us", "", "paced: p99"},
			{"to one member: p50, us", "", "one member, paced: p50"},
			{"p99, us", "", "one member, paced: p99"},
		},
	},
	{
		scenario: "engines", head: "engine, who publishes", rows: waysOf, find: ofWay,
		about: "Publications at one node for one member on another, and the engine's own tool with as many connections and one subscriber.",
		columns: []pivotColumn{
			{"publications/s", "", "rate, "},
			{"engine: us/publication", "", "CPU of the engine, "},
			{"both nodes: us/publication", "", "CPU of the nodes, "},
			{"tool: us/publication", "", "CPU of the tool, "},
		},
	},
	{
		scenario: "engines", head: "nodes subscribed", rows: subscribedOf, find: ofSubscribed,
		about: "CPU of the engine per publication, by how many nodes are subscribed to the channel: published without waiting, so that the " +
			"engine joins what it writes, and one at a time, so that each is a write of its own to every node.",
		columns: []pivotColumn{
			{"redis, many in flight: us", "redis", "CPU of the engine, many in flight, nodes subscribed: "},
			{"redis, one: us", "redis", "CPU of the engine, one in flight, nodes subscribed: "},
			{"nats, many in flight: us", "nats", "CPU of the engine, many in flight, nodes subscribed: "},
			{"nats, one: us", "nats", "CPU of the engine, one in flight, nodes subscribed: "},
		},
	},
	{
		scenario: "subscriptions", head: "engine, nodes", rows: serversOf("subscriptions"), find: ofServer("subscriptions"),
		about: "Channels with one member each: memory, and the price of joining them all at once.",
		columns: []pivotColumn{
			{"node: B/channel", "", "RSS of the node per channel"},
			{"engine: B/channel", "", "RSS of the engine per channel"},
			{"joins/s", "", "rate of joins"},
			{"node: us/join", "", "CPU of the node per join"},
			{"engine: us/join", "", "CPU of the engine per join"},
		},
	},
	{
		scenario: "subscriptions", head: "engine, nodes", rows: serversOf("subscriptions"), find: ofServer("subscriptions"),
		about: "The engine is killed and started again: how long after it accepts connections it has every subscription.",
		columns: []pivotColumn{
			{"subscribed again after, s", "", "subscribed again"},
			{"node: us/channel", "", "CPU of the node, subscribed again"},
			{"engine: us/channel", "", "CPU of the engine, subscribed again"},
		},
	},
	{
		scenario: "pings", head: "", rows: serversOf("pings"), find: ofServer("pings"),
		about: "Connections at rest that are pinged.",
		columns: []pivotColumn{
			{"us/ping and pong", "", "CPU per ping and pong"},
			{"pings/s", "", "pings answered"},
		},
	},
}

// serversOf lists who was measured in a scenario.
func serversOf(scenario string) func(*record) []string {
	return func(r *record) []string {
		var all []string
		for _, f := range r.Figures {
			if f.Scenario == scenario && f.Server != "" && !slices.Contains(all, f.Server) {
				all = append(all, f.Server)
			}
		}
		return all
	}
}

func ofServer(scenario string) func(*record, string, pivotColumn) *figure {
	return func(r *record, row string, c pivotColumn) *figure { return r.find(scenario, row, c.name) }
}

// waysOf lists engines with the ways in which was published through them.
func waysOf(r *record) []string {
	var all []string
	for _, f := range r.Figures {
		way, ok := strings.CutPrefix(f.Name, "rate, ")
		if ok && f.Scenario == "engines" && f.Unit != "ratio" {
			all = append(all, f.Server+": "+way)
		}
	}
	return all
}

func ofWay(r *record, row string, c pivotColumn) *figure {
	server, way, _ := strings.Cut(row, ": ")
	return r.find("engines", server, c.name+way)
}

// subscribedOf lists the numbers of subscribed nodes.
func subscribedOf(r *record) []string {
	var all []string
	for _, f := range r.Figures {
		_, n, ok := strings.Cut(f.Name, ", nodes subscribed: ")
		if ok && f.Scenario == "engines" && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

func ofSubscribed(r *record, row string, c pivotColumn) *figure {
	return r.find("engines", c.server, c.name+row)
}

// writeNodes writes what the record of several nodes says.
func (b *builder) writeNodes(p *page) error {
	p.para("## 8. Many nodes")
	r := b.lib.kinds[nodesKind]
	if r == nil {
		p.missing("bench-nodes")
		return nil
	}
	p.para("Two nodes through each engine against one, publications against the engine's own tool, and subscriptions. Nodes, engine and generator share " +
		"the machine's cores. Medians, and in brackets the lowest and the highest sample.")
	for i, t := range pivots {
		if i == 0 || pivots[i-1].scenario != t.scenario {
			p.para("### %s", t.scenario)
		}
		t.write(p, r)
	}
	for _, n := range r.Notes {
		p.para("Note%s: %s", plain(n.about()), plain(n.Text))
	}
	p.cite(r, b.links)
	return b.remark(p, nodesKind)
}

// write writes one table, or why there is none.
func (t pivot) write(p *page, r *record) {
	p.para("%s", t.about)
	rows := t.rows(r)
	columns := slices.Clone(t.columns)
	columns = slices.DeleteFunc(columns, func(c pivotColumn) bool {
		return !slices.ContainsFunc(rows, func(row string) bool { return t.find(r, row, c) != nil })
	})
	if len(columns) == 0 {
		p.para("%s.", r.whyNot(t.scenario))
		return
	}
	head := []string{t.head}
	for _, c := range columns {
		head = append(head, c.head)
	}
	var cells [][]string
	for _, row := range rows {
		line := []string{plain(row)}
		some := false
		for _, c := range columns {
			f := t.find(r, row, c)
			some = some || f != nil
			line = append(line, f.cell())
		}
		if some {
			cells = append(cells, line)
		}
	}
	p.table(head, cells)
}
