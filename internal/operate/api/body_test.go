package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzFields compares what is accepted with encoding/json, which takes more. How the body is cut
// into pieces makes no difference.
func FuzzFields(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"s":"a","n":1,"b":true}`, `{"s":"\ud800"}`, `{"S":"a"}`, `{"s":"a","s":"b"}`, `{"s":null}`, `{"n":1e3}`, `{"s":"a"}}`, `[{}]`, ` {"b" : false} `} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var got, cut, want struct {
			S string `json:"s"`
			N int    `json:"n"`
			B bool   `json:"b"`
		}
		err := fields{"s": &got.S, "n": &got.N, "b": &got.B}.read(strings.NewReader(body))
		again := fields{"s": &cut.S, "n": &cut.N, "b": &cut.B}.read(iotest.OneByteReader(strings.NewReader(body)))
		if got != cut || (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Fatalf("%q in one piece: %+v, %v; byte by byte: %+v, %v", body, got, err, cut, again)
		}
		if err != nil {
			return
		}
		d := json.NewDecoder(strings.NewReader(body))
		d.DisallowUnknownFields()
		if reference := d.Decode(&want); reference != nil || got != want {
			t.Fatalf("%q was accepted as %+v, encoding/json says %+v, %v", body, got, want, reference)
		}
		var names map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &names); err != nil {
			t.Fatal(err)
		}
		for name := range names {
			if name != "s" && name != "n" && name != "b" {
				t.Fatalf("%q was accepted with the field %q", body, name)
			}
		}
	})
}

// A connection that breaks is no object that ends.
func TestABodyThatBreaksIsRefused(t *testing.T) {
	var id string
	broken := errors.New("broken")
	for _, body := range []string{``, `{`, `{"id":"a"`, `{"id":"a"}`} {
		if err := (fields{"id": &id}).read(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(body)))); err == nil {
			t.Errorf("%q was accepted", body)
		}
		if err := (fields{"id": &id}).read(iotest.ErrReader(broken)); !errors.Is(err, broken) {
			t.Errorf("%v, want %v", err, broken)
		}
	}
}
