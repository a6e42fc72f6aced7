// Package dsn reads what the DSNs of all engines have in common: the parameters after the question
// mark, certificate files, and secrets that must not be logged.
//
// No error quotes text that could be a part of a secret.
package dsn
