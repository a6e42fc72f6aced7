//go:build linux

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the release, and commit what it was built from. Only the linker sets them (-ldflags "-X
// main.version=4.0.0"). A release has no other note of its commit: Go's own also has the state of the
// tree, and so is not the same on every machine.
var version, commit string

// versionOf returns the release, or the version that the module system knows, or "dev". info may be
// nil.
func versionOf(info *debug.BuildInfo) string {
	switch {
	case version != "":
		return version
	case info != nil && info.Main.Version != "" && info.Main.Version != "(devel)":
		return info.Main.Version
	}
	return "dev"
}

// describe returns the line that -version prints. info may be nil.
func describe(info *debug.BuildInfo) string {
	return fmt.Sprintf("wsify %s (commit %s, %s, %s/%s)",
		versionOf(info), commitOf(info), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// commitOf returns the commit that the program was built from, and whether the tree had further
// changes.
func commitOf(info *debug.BuildInfo) string {
	if commit != "" {
		return commit
	}
	revision, changed := "unknown", ""
	if info == nil {
		return revision
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && s.Value != "":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " with changes"
		}
	}
	return revision + changed
}
