//go:build tools

// Package tools pins the program that this module exists to build.
package tools

import _ "go.temporal.io/server/cmd/server"
