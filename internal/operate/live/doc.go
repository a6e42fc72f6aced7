// Package live is the page at / of the admin listener: charts of the last 15 minutes, which move.
//
// A Board keeps one point a second and streams it as server-sent events: first the history, then
// each new point. All pages share the encoded bytes of a point. The page needs no build step: its
// files are embedded, and uPlot, which draws the charts, is vendored as it was published.
package live
