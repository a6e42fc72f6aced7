package main

import (
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed text/*.md
var texts embed.FS

func main() {
	written, err := fs.Sub(texts, "text")
	if err != nil {
		panic(err) // the name is a constant
	}
	os.Exit(run(os.Args[1:], prose{written}, os.Stdout, os.Stderr))
}

// run is the program. It returns the exit code: 1 when the report cannot be made or
// is not true, 2 for a wrong command line.
func run(args []string, written prose, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(stderr)
	results := flags.String("results", "../results", "the directory of records")
	out := flags.String("out", "..", "the directory of REPORT.md and charts/")
	check := flags.Bool("check", false, "write nothing; exit with 1 when they are not what the records give")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "report: what is %q?\n", flags.Arg(0))
		return 2
	}
	if err := report(*results, *out, *check, written, stdout); err != nil {
		fmt.Fprintf(stderr, "report: %v\n", err)
		return 1
	}
	return 0
}

func report(results, out string, check bool, written prose, stdout io.Writer) error {
	lib, err := readLibrary(results)
	if err != nil {
		return err
	}
	for _, p := range lib.passed {
		fmt.Fprintf(stdout, "%s is not shown: %s\n", p.file, p.why)
	}
	others, err := readElsewhere(elsewhereJSON)
	if err != nil {
		return err
	}
	links, err := between(out, results)
	if err != nil {
		return err
	}
	b := &builder{lib: lib, prose: written, elsewhere: others, links: links}
	files, err := b.build()
	if err != nil {
		return err
	}
	if err := b.checkLinks(results); err != nil {
		return err
	}
	if !check {
		fmt.Fprintf(stdout, "%s and %d other files written\n", filepath.Join(out, reportFile), len(files)-1)
		return write(out, files)
	}
	found, err := differences(out, files)
	if err != nil {
		return err
	}
	for _, f := range found {
		fmt.Fprintln(stdout, f)
	}
	if len(found) > 0 {
		return errors.New("the report is not what the records give: run make bench-report")
	}
	fmt.Fprintln(stdout, "the report is what the records give")
	return nil
}

// between is the way from one directory to another as links write it.
func between(from, to string) (string, error) {
	from, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	to, err = filepath.Abs(to)
	if err != nil {
		return "", err
	}
	way, err := filepath.Rel(from, to)
	return filepath.ToSlash(way), err
}
