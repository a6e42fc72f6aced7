package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxBody is the largest body of a request. The longest name of a channel takes most of it.
const maxBody = 512 << 10

// fields are those that an object may have, with where their values go: a *string, *int or *bool.
type fields map[string]any

// decode reads the JSON of a request. It is strict, because a field that is written wrong would be
// one that is missing.
func decode(w http.ResponseWriter, r *http.Request, into fields) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &Error{415, "unsupported_media_type", "the Content-Type has to be application/json", nil}
	}
	err := into.read(http.MaxBytesReader(w, r.Body, maxBody))
	var (
		said   *Error
		large  *http.MaxBytesError
		syntax *json.SyntaxError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said):
		return said
	case errors.As(err, &large):
		return &Error{413, "too_large", fmt.Sprintf("the body has more than %d bytes", large.Limit), nil}
	case errors.As(err, &syntax):
		return badRequest(fmt.Sprintf("the body is no JSON; look near byte %d", syntax.Offset))
	}
	return badRequest("the body ends too early")
}

// read reads one object, and nothing behind it. It goes from token to token, because
// json.Unmarshal takes names in any case, and a name that is repeated.
func (f fields) read(from io.Reader) error {
	d := json.NewDecoder(from)
	d.UseNumber()
	switch begin, err := d.Token(); {
	case errors.Is(err, io.EOF):
		return badRequest("the body is empty; it has to be a JSON object")
	case err != nil:
		return err
	case begin != json.Delim('{'):
		return badRequest("the body has to be a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		if err := f.readField(d, seen); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil { // the end of the object
		return err
	}
	_, err := d.Token()
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return err
	}
	if !errors.Is(err, io.EOF) {
		return badRequest("there is something behind the object")
	}
	return nil
}

// readField reads a name and a value.
func (f fields) readField(d *json.Decoder, seen map[string]bool) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	name, _ := token.(string)
	to, known := f[name]
	if !known {
		return badRequest(fmt.Sprintf("there is no field %q; %s", name, list(slices.Sorted(maps.Keys(f)))))
	}
	if seen[name] {
		return badRequest(fmt.Sprintf("the field %q is there more than once", name))
	}
	seen[name] = true
	value, err := d.Token()
	if err != nil {
		return err
	}
	return set(name, to, value)
}

// set stores the value of a field.
func set(name string, to, value any) (err error) {
	ok, kind := false, ""
	switch to := to.(type) {
	case *string:
		kind = "a string"
		*to, ok = value.(string)
	case *bool:
		kind = "true or false"
		*to, ok = value.(bool)
	case *int:
		kind = "a whole number"
		number, _ := value.(json.Number)
		*to, err = strconv.Atoi(string(number))
		ok = err == nil
	}
	if !ok {
		return badRequest(fmt.Sprintf("%s has to be %s", name, kind))
	}
	return nil
}

// list says which names there are.
func list(names []string) string {
	if len(names) == 0 {
		return "there are none"
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = strconv.Quote(name)
	}
	last := len(quoted) - 1
	if last == 0 {
		return "there is " + quoted[0]
	}
	return "there are " + strings.Join(quoted[:last], ", ") + " and " + quoted[last]
}
