//go:build invariants

package wire

// invariants switches the checks of test builds on.
const invariants = true
