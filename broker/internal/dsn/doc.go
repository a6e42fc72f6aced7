// Package dsn reads what the addresses of all engines have in common: the parameters
// behind the question mark, the files of certificates, and what must not be logged.
//
// No error quotes what could be a part of a secret.
package dsn
