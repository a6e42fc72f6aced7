package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func Read(path string) (*Record, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Record
	err = json.Unmarshal(text, &r)
	if r.Version != Version {
		return nil, fmt.Errorf("%s is no record of version %d, which is all that wsbench reads; bench/results/v1 has older ones, with their report", path, Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r, nil
}

func (r *Record) Encode(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// create makes a new file. Records are added, never edited: one that exists is an error.
func create(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s exists: records are added, never edited", path)
	}
	return f, err
}

// Creatable reports why a record could not be written to path, before it is made.
func Creatable(path string) error {
	f, err := create(path)
	if err != nil {
		return fmt.Errorf("the record could not be written: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(path))
}

func (r *Record) Write(path string) error {
	f, err := create(path)
	if err != nil {
		return err
	}
	return errors.Join(r.Encode(f), f.Close())
}
