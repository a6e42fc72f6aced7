// Command report turns the records of bench/results into bench/REPORT.md and the
// charts beside it.
//
//	cd bench/report && go run . -results ../results -out ..
//	cd bench/report && go run . -check
//
// Of each kind of record the newest counts, by the date it holds. A record's kind is
// what its file name says behind the date: 2026-11-24-goals.json is of the kind goals.
// Profiles, as 2026-11-24-profile-echo.txt, are all linked, and a text that links one
// that is not there is refused. Prose is
// written by hand, in text/*.md; figures, tables and charts are only ever what the
// records hold. The same records and prose give the same bytes, which is what
// -check relies on: it writes nothing, and exits with 1 when the report or a chart
// is not what this program would write.
//
// It is a module of its own, so that the product's go.mod stays free of what draws.
package main
