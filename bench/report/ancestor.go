package main

import (
	"fmt"
	"slices"
	"strings"
)

// ancestor is the version that this one is to be better than.
const ancestor = "wsify v3"

// ancestorRows compares ours with it. There is no limit to judge by.
func (b *builder) ancestorRows() []goalRow {
	r := b.lib.kinds["peers"]
	var rows []goalRow
	for _, c := range []struct {
		title string
		column
	}{
		{ancestor + "'s memory of an idle connection over ours", memory},
		{ancestor + "'s CPU of a delivery over ours, both over their floor", delivery1},
	} {
		for _, variant := range ours(r) {
			if !strings.EqualFold(variant, ancestor) {
				rows = append(rows, b.ancestorRow(c.title, c.column, r, variant))
			}
		}
	}
	return rows
}

func (b *builder) ancestorRow(title string, c column, r *record, variant string) goalRow {
	row := goalRow{title: title, variant: variantOf(variant)}
	if r == nil {
		row.verdict = never
		return row
	}
	rows := b.peers(r)
	column := slices.Index(columns, c)
	f := r.find(c.scenario, variant, c.name)
	at := slices.IndexFunc(rows, func(p peer) bool { return strings.EqualFold(p.name, ancestor) })
	if f == nil || at < 0 || rows[at].figures[column] == nil {
		row.verdict = r.whyNot(c.scenario)
		return row
	}
	old, mark := rows[at].figures[column], ""
	if !rows[at].measured {
		mark = " †"
	}
	row.fill(r, f)
	if old, now := rows[at].overFloor(r, c), ourOverFloor(rows, r, variant, c); old > 0 && now > 0 {
		row.measured = fmt.Sprintf("%s: %s×%s, ours %s×", show(old/now), show(old), mark, show(now))
		row.spread = ""
		return row
	}
	row.measured = fmt.Sprintf("%s: %s%s, ours %s", show(old.Median/f.Median), quantity(old.Median, old.Unit), mark, quantity(f.Median, f.Unit))
	return row
}

// ourOverFloor is the ratio of our own figure to the floor's, 0 without one.
func ourOverFloor(rows []peer, r *record, variant string, c column) float64 {
	for _, p := range rows {
		if p.name == variant {
			return p.overFloor(r, c)
		}
	}
	return 0
}
