//go:build linux

package main

import "fmt"

// sharedChannel is the one channel of everybody.
const sharedChannel = "bench"

// channels says which channels each member of a crowd joins. The zero value is none.
type channels struct {
	Shared bool `json:"shared,omitempty"` // one for all
	Own    int  `json:"own,omitempty"`    // so many that nobody else joins
	Among  int  `json:"among,omitempty"`  // one of so many, in turn
}

// of returns the names for member i.
func (c channels) of(i int) []string {
	var names []string
	if c.Shared {
		names = append(names, sharedChannel)
	}
	for n := range c.Own {
		names = append(names, ownChannel(i*c.Own+n))
	}
	if c.Among > 0 {
		names = append(names, ownChannel(i%c.Among))
	}
	return names
}

// ownChannel names have one length, so that all requests have.
func ownChannel(i int) string { return fmt.Sprintf("c%08d", i) }
