//go:build tools

// Package tools pins the program that this module exists to build.
package tools

import _ "github.com/docker/compose/v5/cmd"
