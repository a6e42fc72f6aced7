package main

import (
	"slices"
	"testing"
)

// atX is a figure of a curve.
func atX(x float64, f figure) figure {
	f.X = &x
	return f
}

// connectionsCurve is a builder of a curve over connections and of a million, and the curve.
func connectionsCurve(million []figure, curve ...figure) (*builder, *record) {
	kinds := map[string]*record{
		"curve-connections": {Figures: curve},
		"million":           {file: "m.json", Command: []string{"-connections", "900000"}, Notes: []note{{Text: "in a guest kernel"}}, Figures: million},
	}
	return &builder{lib: &library{kinds: kinds}}, kinds["curve-connections"]
}

// added lists what is behind the curve's own figures, as SCENARIO NAME.
func added(e extended, own *record) []string {
	var names []string
	for _, f := range e.figures[len(own.Figures):] {
		if f.million {
			names = append(names, f.Scenario+" "+f.Name)
		}
	}
	return names
}

func TestAMillionIsTheLastPointOfWhatCorrespondsToIt(t *testing.T) {
	b, curve := connectionsCurve(
		[]figure{
			one("million", "wsify", "RSS of the server per connection", "B", 160),
			one("million", "wsify", "kernel memory per connection", "B", 7700),
			one("million", "wsify", "CPU per delivery over the same at 10,000", "ratio", 1.3),
			one("million", "wsify", "drain", "s", 28),
		},
		atX(5000, one("idle", "wsify", "RSS per connection, one channel for all", "B", 170)),
		atX(5000, one("fanout", "wsify", costOfFew, "CPU us per delivery", 4)),
		atX(10000, one("fanout", "wsify", costOfFew, "CPU us per delivery", 5)))
	e := b.millionth("curve-connections", curve)
	if want := []string{"idle RSS per connection, one channel for all", "fanout " + costOverFew}; !slices.Equal(added(e, curve), want) {
		t.Errorf("got %q, want %q: nothing for which there is no curve", added(e, curve), want)
	}
	if !e.used || e.file != "m.json" || e.where != "in a guest kernel" {
		t.Errorf("it is from %q, %q", e.file, e.where)
	}
	last := e.figures[len(e.figures)-1]
	if *last.X != 900000 || last.Median != 1.3 || last.cell() != "1.30 ‡" {
		t.Errorf("the last point is %s at %v", last.cell(), *last.X)
	}
	if first := e.figures[3]; first.Median != 0.8 || *first.X != 5000 {
		t.Errorf("among 5,000 a delivery costs %v of what it costs among 10,000, want 0.8", first.Median)
	}
	if len(curve.Figures) != 3 {
		t.Error("the record itself was changed")
	}
}

func TestACurveThatGoesAsFarKeepsItsOwnLastPoint(t *testing.T) {
	b, curve := connectionsCurve(
		[]figure{one("million", "wsify", "RSS of the server per connection", "B", 160)},
		atX(900000, one("idle", "wsify", "RSS per connection, one channel for all", "B", 170)))
	if e := b.millionth("curve-connections", curve); e.used || len(added(e, curve)) > 0 {
		t.Errorf("added: %q", added(e, curve))
	}
}

func TestOtherCurvesHaveNothingOfAMillion(t *testing.T) {
	b, curve := connectionsCurve(
		[]figure{one("million", "wsify", "RSS of the server per connection", "B", 160)},
		atX(1, one("idle", "wsify", "RSS per connection, one channel for all", "B", 170)))
	if e := b.millionth("curve-loops", curve); e.used || len(e.figures) != 1 {
		t.Errorf("added: %q", added(e, curve))
	}
}

func TestWithoutAMillionTheCurveStandsByItself(t *testing.T) {
	b, curve := connectionsCurve(nil, atX(1, one("idle", "wsify", "RSS per connection, one channel for all", "B", 170)))
	delete(b.lib.kinds, "million")
	if e := b.millionth("curve-connections", curve); e.used || len(e.figures) != 1 {
		t.Errorf("added: %q", added(e, curve))
	}
}

func TestLabelsOfXDoNotLieOverEachOtherAndTheLastStays(t *testing.T) {
	c := new(curve)
	for _, x := range []float64{1000, 2500, 5000, 10000, 15000, 19000, 1e6} {
		f := atX(x, one("s", "wsify", "n", "B", 1))
		c.points = append(c.points, &f)
	}
	ch := new(lineChart)
	ch.scale([]*curve{c}, "B")
	var labels []string
	for _, tick := range ch.x.ticks {
		labels = append(labels, tick.Label)
	}
	if want := []string{"1,000", "2,500", "5,000", "10,000", "", "19,000", "1,000,000"}; !slices.Equal(labels, want) {
		t.Errorf("got %q, want %q", labels, want)
	}
}
