// Typecheck checks the types of packages, with -test those of their tests too, as on the
// system that GOOS and GOARCH name. It does so from source: to compile the standard library
// for one more system takes minutes where nothing is cached.
package main

import (
	"flag"
	"fmt"
	"os"

	"golang.org/x/tools/go/packages"
)

func main() {
	tests := flag.Bool("test", false, "check tests, too")
	flag.Parse()
	// With these modes the functions of the packages named are checked, and of their
	// dependencies the declarations alone.
	const mode = packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedDeps |
		packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax
	found, err := packages.Load(&packages.Config{Mode: mode, Tests: *tests}, flag.Args()...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if packages.PrintErrors(found) > 0 {
		os.Exit(1)
	}
}
