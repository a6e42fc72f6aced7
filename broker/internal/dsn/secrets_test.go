package dsn

import "testing"

func TestSecretsAreMasked(t *testing.T) {
	s := Secrets{"", "a", "pwd", "hunter2hunter3"}
	for text, want := range map[string]string{
		"ERR bad 'pwd'":                   "ERR bad '***'",
		"args: 'hunter2hunter3', 'x'":     "args: '***', 'x'",
		"args: 'hunter2hun":               "args: '***",
		"a hunter came by":                "a *** came by", // six characters in a row
		"hunt":                            "hunt",
		"WRONGPASS invalid username-pass": "WRONGPASS invalid username-pass",
	} {
		if got := s.Mask(text); got != want {
			t.Errorf("Mask(%q) = %q, want %q", text, got, want)
		}
	}
}
