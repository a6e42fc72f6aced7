// Package invariants holds the assertions of ARCHITECTURE.md's numbered list.
//
// Assertions are compiled in with the build tag "invariants", which the test
// targets set. Without it Enabled is a false constant, and the compiler removes
// every check guarded by it.
package invariants

import "fmt"

// Check panics with the invariant's name when ok is false. Call it only under
// "if invariants.Enabled", so that production builds do not evaluate its
// arguments.
func Check(ok bool, name string, args ...any) {
	if !ok {
		panic("invariant broken: " + fmt.Sprintf(name, args...))
	}
}

// Clobber overwrites bytes whose loan has ended, so that code that kept them fails at
// once. Production code calls it only under "if invariants.Enabled".
func Clobber(p []byte) {
	for i := range p {
		p[i] = 0xDD
	}
}
