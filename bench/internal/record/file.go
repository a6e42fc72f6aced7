package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Read reads a record.
func Read(path string) (*Record, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Version != Version {
		return nil, fmt.Errorf("%s is no record of version %d; those in results/v1 have an older form", path, Version)
	}
	return &r, nil
}

// Encode writes the record as JSON.
func (r *Record) Encode(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// Write writes a new file. Records are added, never edited: one that exists is an error.
func (r *Record) Write(path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists: records are added, never edited", path)
	}
	if err != nil {
		return err
	}
	return errors.Join(r.Encode(f), f.Close())
}
