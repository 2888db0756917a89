//go:build tools

// Package tools pins the programs that this module exists to build.
package tools

import (
	_ "go.temporal.io/server/cmd/server"
	_ "go.temporal.io/server/cmd/tools/sql"
)
