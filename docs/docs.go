// Package docs holds what of the documents travels with the program.
package docs

import _ "embed"

// VerifyHistory is the independent verifier, which evidence packs carry along.
//
//go:embed verify_history.py
var VerifyHistory []byte
