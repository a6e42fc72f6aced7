package doctor

import (
	"io/fs"
	"reflect"
	"testing"
	"testing/fstest"
)

// locked refuses to open one file, as the kernel does to a user who may not read it.
type locked struct {
	fs.FS
	name string
}

func (l locked) Open(name string) (fs.File, error) {
	if name == l.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return l.FS.Open(name)
}

func TestTheSettingsOfTheService(t *testing.T) {
	const unit, env = "usr/lib/systemd/system/wsify.service", "etc/wsify/wsify.env"
	const drop = "etc/systemd/system/wsify.service.d/a.conf"
	whole := "[Service]\nExecStart=/usr/bin/wsify -config /etc/wsify/wsify.conf\nEnvironmentFile=-/etc/wsify/wsify.env\n"
	secrets := "# A comment=1\n; B=2\nWSIFY_ADMIN_KEY = a\n WSIFY_BROKER_DSN=redis://a=b\nnonsense\nWSIFY_ADMIN_KEY=b\n"
	names := []string{"WSIFY_ADMIN_KEY", "WSIFY_BROKER_DSN"}
	for name, tc := range map[string]struct {
		files map[string]string
		want  Service
	}{
		"no unit":           {map[string]string{env: secrets}, Service{}},
		"a drop-in only":    {map[string]string{drop: whole, env: secrets}, Service{}},
		"the package's":     {map[string]string{unit: whole, env: secrets}, Service{"/etc/wsify/wsify.conf", []EnvironmentFile{{Path: "/" + env, Names: names}}}},
		"without the file":  {map[string]string{unit: whole}, Service{Config: "/etc/wsify/wsify.conf"}},
		"a drop-in's":       {map[string]string{unit: whole, drop: "EnvironmentFile=/b", "b": "WSIFY_LOOPS=1"}, Service{"/etc/wsify/wsify.conf", []EnvironmentFile{{Path: "/b", Names: []string{"WSIFY_LOOPS"}}}}},
		"begun again":       {map[string]string{unit: whole, env: secrets, drop: "EnvironmentFile=\nExecStart=\nExecStart=/usr/bin/wsify --config=/b\n"}, Service{Config: "/b"}},
		"no -config":        {map[string]string{unit: "ExecStart=/usr/bin/wsify -loops 2 config x"}, Service{}},
		"-config at an end": {map[string]string{unit: "ExecStart=/usr/bin/wsify -config"}, Service{}},
	} {
		root := fstest.MapFS{"run/systemd/system": {}}
		for path, text := range tc.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := ReadService(root); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
		delete(root, "run/systemd/system")
		if got := ReadService(root); !reflect.DeepEqual(got, Service{}) {
			t.Errorf("%s, without systemd: %+v", name, got)
		}
	}
	root := locked{fstest.MapFS{"run/systemd/system": {}, unit: {Data: []byte(whole)}, env: {Data: []byte(secrets)}}, env}
	if got := ReadService(root); len(got.Environments) != 1 || !got.Environments[0].Hidden || got.Environments[0].Names != nil {
		t.Errorf("a file that may not be read: %+v", got)
	}
}
