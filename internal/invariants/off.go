//go:build !invariants

package invariants

// Enabled says whether assertions are compiled in.
const Enabled = false

// Goroutine names the calling goroutine. It is slow and for assertions only.
func Goroutine() string { return "" }
