package dsn

import (
	"errors"
	"strings"
)

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
	for text != "" {
		run := 0
		for run < len(text) && strings.Contains(secret, text[:run+1]) {
			run++
		}
		if run >= shortest {
			masked.WriteString("***")
		} else {
			run = 1
			masked.WriteByte(text[0])
		}
		text = text[run:]
	}
	return masked.String()
}

// Err returns err, or its text without the secrets in it.
func (s Secrets) Err(err error) error {
	if masked := s.Mask(err.Error()); masked != err.Error() {
		return errors.New(masked)
	}
	return err
}
