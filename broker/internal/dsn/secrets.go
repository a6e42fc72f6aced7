package dsn

import (
	"errors"
	"strings"
)

// Servers shorten and escape what they quote. So parts of a secret are masked too, but no text that
// is too short to be a secret.
const (
	secretRun = 6 // the shortest part of a secret that is masked, in bytes
	minSecret = 3
)

// Secrets are the passwords and tokens of a DSN, which must not reach a log. A server that does not
// know a command quotes its arguments, AUTH's among them.
type Secrets []string

// Mask replaces in text each secret, and each part of one.
func (s Secrets) Mask(text string) string {
	for _, secret := range s {
		text = maskRuns(text, secret)
	}
	return text
}

// maskRuns replaces in text each run of bytes that also occurs in secret.
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

// Err returns err, or an error with its masked text if it has a secret.
func (s Secrets) Err(err error) error {
	if masked := s.Mask(err.Error()); masked != err.Error() {
		return errors.New(masked)
	}
	return err
}
