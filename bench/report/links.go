package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// linked finds what the page links.
var linked = regexp.MustCompile(`\]\(([^)\s#]+)(?:#[^)\s]*)?\)`)

// checkLinks refuses a report that links a record or a profile that is not there. What
// is made from the records cannot; the texts are written by hand.
func (b *builder) checkLinks(results string) error {
	var broken []error
	var seen []string
	for _, found := range linked.FindAllStringSubmatch(string(b.files[reportFile]), -1) {
		dir, name := filepath.Split(found[1])
		if dir != b.links+"/" || slices.Contains(seen, name) {
			continue
		}
		seen = append(seen, name)
		if _, err := os.Stat(filepath.Join(results, name)); err != nil {
			broken = append(broken, fmt.Errorf("the report links %s, which is not there", found[1]))
		}
	}
	return errors.Join(broken...)
}
