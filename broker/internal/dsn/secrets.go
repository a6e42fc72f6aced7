package dsn

import "strings"

// Servers shorten and escape what they quote, so parts of a secret are masked too, but
// none of what is too short to be one.
const (
	secretRun = 6 // bytes in a row that are masked at least, when they are not all of it
	minSecret = 3
)

// Secrets is what must not reach a log: passwords and tokens of a DSN. A server that
// does not know a command quotes its arguments, AUTH's among them.
type Secrets []string

// Mask replaces in text what is a secret, or a part of one.
func (s Secrets) Mask(text string) string {
	for _, secret := range s {
		text = maskRuns(text, secret)
	}
	return text
}

// maskRuns replaces in text each run of bytes that is one of secret as well.
func maskRuns(text, secret string) string {
	shortest := min(len(secret), secretRun)
	if shortest < minSecret {
		return text
	}
	var masked strings.Builder
	for i := 0; i < len(text); {
		n := 0
		for i+n < len(text) && strings.Contains(secret, text[i:i+n+1]) {
			n++
		}
		if n < shortest {
			masked.WriteByte(text[i])
			i++
			continue
		}
		masked.WriteString("***")
		i += n
	}
	return masked.String()
}

// Err returns err with its text masked.
func (s Secrets) Err(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	masked := s.Mask(text)
	if masked == text {
		return err
	}
	return &maskedError{text: masked, err: err}
}

// maskedError is an error whose text had a secret.
type maskedError struct {
	text string
	err  error
}

// Error returns the text without the secret.
func (e *maskedError) Error() string { return e.text }

// Unwrap returns the error itself.
func (e *maskedError) Unwrap() error { return e.err }
