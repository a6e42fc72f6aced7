// Command compose prints a YAML file as JSON. It is a module of its own, so that the server's
// go.mod does not need a YAML library.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/goccy/go-yaml"
)

func main() {
	if err := convert(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func convert(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var content map[string]any
	if err := yaml.UnmarshalWithOptions(text, &content, yaml.Strict()); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return json.NewEncoder(os.Stdout).Encode(content)
}
